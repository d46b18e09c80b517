//! Real servers for tests, as child processes on free ports.

//! The edge: encrypted WebSockets and fan-out.

//! The Rust SDK: an encrypted, self-healing stream of typed events.

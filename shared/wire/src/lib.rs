//! Everything that crosses a wire, as pure code: frames, envelopes, events, names, close codes, ids.
//!
//! No I/O, no clock, no async: whoever calls brings the time and the randomness, so that every function here can
//! be held against recorded bytes.

pub mod activity;
pub mod backoff;
pub mod close;
pub mod connected;
pub mod control;
pub mod envelope;
pub mod frame;
pub mod journal;
pub mod message;
pub mod notification;
pub mod protocol;
pub mod refresh;
pub mod room;
pub mod sealed;
pub mod snowflake;
pub mod timestamp;

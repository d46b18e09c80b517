//! Numbered messages to everybody, and the list of them that a client can read again: what REST over the platform's rows
//! is to notifications.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::Deserialize;
use signal_wire::room;

use crate::sister::Sister;

/// The event of a numbered message.
pub const EVENT: &str = "numbered";

/// `data` of a numbered message.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Numbered {
    pub number: u64,
}

/// Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<AtomicU64>);

impl Ledger {
    /// All numbers below it are in the list.
    pub fn len(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a message to the list and then publishes it, as a row is written before its push.
    ///
    /// # Errors
    /// If the backplane does not take it; in the list it stays.
    pub async fn publish(&self, sister: &Sister) -> anyhow::Result<u64> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        sister.publish("ws:broadcast", envelope(number, "")).await?;
        Ok(number)
    }
}

/// How a message reaches everybody.
const WAYS: u64 = 3;

impl Ledger {
    /// As [`Ledger::publish`]: by a broadcast, by a room that every client is in, and to each of these users by
    /// themselves, in turn.
    ///
    /// # Errors
    /// As there.
    pub async fn publish_by_turns(&self, sister: &Sister, users: impl Iterator<Item = String>) -> anyhow::Result<u64> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let messages = match number % WAYS {
            0 => vec![("ws:broadcast".to_owned(), envelope(number, ""))],
            1 => vec![(format!("ws:room:{}", room::DEFAULT), envelope_to_room(room::DEFAULT, number))],
            _ => users.map(|user| (format!("ws:user:{user}"), envelope_to_user(&user, number))).collect(),
        };
        sister.publish_all(messages).await?;
        Ok(number)
    }
}

/// A broadcast with some padding.
pub fn envelope(number: u64, padding: &str) -> String {
    let data = format!(r#"{{"number":{number},"padding":"{padding}"}}"#);
    format!(r#"{{"serverId":"emitter","type":"broadcast","event":"{EVENT}","data":{data}}}"#)
}

/// A message to all clients of one user.
pub fn envelope_to_user(user: &str, number: u64) -> String {
    let data = format!(r#"{{"number":{number}}}"#);
    format!(r#"{{"serverId":"emitter","type":"user","target":"{user}","event":"{EVENT}","data":{data}}}"#)
}

/// A message to a room.
pub fn envelope_to_room(room: &str, number: u64) -> String {
    let data = format!(r#"{{"number":{number}}}"#);
    format!(r#"{{"serverId":"emitter","type":"room","target":"{room}","event":"{EVENT}","data":{data}}}"#)
}

/// What a message is to each of its subscribers, as RESP writes it: `*3 $7 message $n channel $m payload`.
pub fn published_bytes(channel: &str, payload: &str) -> u64 {
    let bulk = |text: &str| (1 + text.len().to_string().len() + 2 + text.len() + 2) as u64;
    4 + bulk("message") + bulk(channel) + bulk(payload)
}

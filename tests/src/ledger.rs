//! Numbered messages to everybody, and the list of them that a client can read again: what REST over the platform's rows
//! is to notifications.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use serde::Deserialize;
use signal_wire::room;
use tokio::{sync::oneshot, task::JoinHandle, time::interval};

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

    /// Adds a message to the list that is not published, as a service does whose backplane is away.
    pub fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Adds a message to the list and then publishes it, as a row is written before its push.
    ///
    /// # Errors
    /// If the backplane does not take it; in the list it stays.
    pub async fn publish(&self, sister: &Sister) -> anyhow::Result<u64> {
        let number = self.add();
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
        let number = self.add();
        let messages = match number % WAYS {
            0 => vec![("ws:broadcast".to_owned(), envelope(number, ""))],
            1 => vec![(format!("ws:room:{}", room::DEFAULT), envelope_to_room(room::DEFAULT, number))],
            _ => users.map(|user| (format!("ws:user:{user}"), envelope_to_user(&user, number))).collect(),
        };
        sister.publish_all(messages).await?;
        Ok(number)
    }
}

/// Messages to everybody at a steady pace, each in the list first, whether there is anybody to publish to or not. Breaks
/// off with the value.
#[derive(Debug)]
pub struct Traffic {
    task: JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

impl Traffic {
    pub fn start(ledger: &Ledger, url: &str, every: Duration) -> Self {
        let (ledger, url) = (ledger.clone(), url.to_owned());
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = interval(every);
            let mut connection = None;
            loop {
                tokio::select! {
                    biased;
                    _ = &mut ended => return,
                    _ = ticks.tick() => {}
                }
                if connection.is_none() {
                    connection = Sister::connect(&url).await.ok();
                }
                let published = match &connection {
                    Some(open) => ledger.publish(open).await.is_ok(),
                    // As a row without its push.
                    None => ledger.add() == u64::MAX,
                };
                if !published {
                    connection = None;
                }
            }
        });
        Self { task, end: Some(end) }
    }

    /// Ends it after the message that is being said: one that is broken off is in the list, and nobody hears it.
    pub async fn end(mut self) {
        drop(self.end.take());
        (&mut self.task).await.expect("it does not panic");
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
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

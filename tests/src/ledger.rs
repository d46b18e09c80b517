//! Numbered messages to everybody, and the list of them that a client can read again: what REST over the platform's rows
//! is to notifications.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use serde::Deserialize;
use signal_wire::room;

/// The client's own half second is little on a machine that runs everything at once.
const WITHIN: Duration = Duration::from_secs(30);

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
    pub async fn publish(&self, backplane: &mut MultiplexedConnection) -> RedisResult<u64> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        redis::cmd("PUBLISH").arg("ws:broadcast").arg(envelope(number, "")).exec_async(backplane).await?;
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
    pub async fn publish_by_turns(
        &self,
        backplane: &mut MultiplexedConnection,
        users: impl Iterator<Item = String>,
    ) -> RedisResult<u64> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let mut pipeline = redis::pipe();
        match number % WAYS {
            0 => pipeline.publish("ws:broadcast", envelope(number, "")).ignore(),
            1 => {
                pipeline.publish(format!("ws:room:{}", room::DEFAULT), envelope_to_room(room::DEFAULT, number)).ignore()
            }
            _ => users.fold(&mut pipeline, |pipeline, user| {
                pipeline.publish(format!("ws:user:{user}"), envelope_to_user(&user, number)).ignore()
            }),
        };
        pipeline.exec_async(backplane).await?;
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

/// A sister service's connection.
///
/// # Errors
/// If nobody is there.
pub async fn backplane(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(WITHIN)).set_connection_timeout(Some(WITHIN));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

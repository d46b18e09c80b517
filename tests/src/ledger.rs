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
use tokio::{task::JoinHandle, time::interval};

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

/// Messages to everybody at a steady pace, each in the list first, whether there is anybody to publish to or not. Ends
/// with the value.
#[derive(Debug)]
pub struct Traffic(JoinHandle<()>);

impl Traffic {
    pub fn start(ledger: &Ledger, url: &str, every: Duration) -> Self {
        let (ledger, url) = (ledger.clone(), url.to_owned());
        Self(tokio::spawn(async move {
            let mut ticks = interval(every);
            let mut connection = None;
            loop {
                ticks.tick().await;
                if connection.is_none() {
                    connection = backplane(&url).await.ok();
                }
                let published = match &mut connection {
                    Some(open) => ledger.publish(open).await.is_ok(),
                    // As a row without its push.
                    None => ledger.0.fetch_add(1, Ordering::SeqCst) == u64::MAX,
                };
                if !published {
                    connection = None;
                }
            }
        }))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.abort();
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

/// A sister service's connection.
///
/// # Errors
/// If nobody is there.
pub async fn backplane(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(WITHIN)).set_connection_timeout(Some(WITHIN));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

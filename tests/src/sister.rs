//! A sister service: somebody on the backplane who has a client for it and nothing of Signal's. What is a channel on Redis
//! is a subject on NATS, as docs/protocol.md says.

mod nats;

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};

use self::nats::Nats;

/// The clients' own patience is little on a machine that runs everything at once.
const WITHIN: Duration = Duration::from_secs(30);

/// A connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Sister(Connected);

#[derive(Clone, Debug)]
enum Connected {
    Redis(MultiplexedConnection),
    Nats(Nats),
}

/// Payloads, until the connection is lost.
pub type Heard = Pin<Box<dyn Stream<Item = Vec<u8>> + Send>>;

impl Sister {
    /// # Errors
    /// If nobody is at the backplane's `url`.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        if is_nats(url) {
            return Ok(Self(Connected::Nats(Nats::connect(url).await?)));
        }
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(WITHIN)).set_connection_timeout(Some(WITHIN));
        let connection = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self(Connected::Redis(connection)))
    }

    /// # Errors
    /// If the backplane does not take it.
    pub async fn publish(&self, channel: &str, payload: impl Into<Vec<u8>>) -> anyhow::Result<()> {
        self.publish_all([(channel, payload)]).await
    }

    /// All of them at once, in order.
    ///
    /// # Errors
    /// If the backplane does not take them.
    pub async fn publish_all<C: Into<String>, P: Into<Vec<u8>>>(
        &self,
        messages: impl IntoIterator<Item = (C, P)>,
    ) -> anyhow::Result<()> {
        let messages = messages.into_iter().map(|(channel, payload)| (channel.into(), payload.into()));
        match &self.0 {
            Connected::Redis(connection) => {
                let mut pipeline = redis::pipe();
                for (channel, payload) in messages {
                    pipeline.publish(channel, payload).ignore();
                }
                Ok(pipeline.exec_async(&mut connection.clone()).await?)
            }
            Connected::Nats(nats) => nats.publish(messages.collect()).await,
        }
    }
}

/// Hears what is said on the channels that begin with `prefix`, which has two colons. Whatever is said once this has
/// returned is heard.
///
/// # Errors
/// If nobody is at the backplane's `url`.
pub async fn listen(url: &str, prefix: &str) -> anyhow::Result<Heard> {
    if is_nats(url) {
        return Ok(Box::pin(nats::listen(url, prefix).await?));
    }
    let mut subscription = Client::open(url)?.get_async_pubsub().await?;
    subscription.psubscribe(format!("{prefix}*")).await?;
    Ok(Box::pin(subscription.into_on_message().map(|message| message.get_payload_bytes().to_vec())))
}

fn is_nats(url: &str) -> bool {
    url.starts_with("nats://")
}

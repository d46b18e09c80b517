//! Redis pub/sub: the backplane of a deployment.

mod confirmation;
mod subscription;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{AsyncConnectionConfig, Client, Pipeline, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use crate::{Bus, BusError, Channels, Events, Publication};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How an edge hears the channels that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One subscription for each channel: an edge reads only what its own clients are sent.
    #[default]
    Exact,
    /// The patterns `ws:room:*`, `ws:client:*` and `ws:user:*`, as the service before did: an edge reads everything.
    Pattern,
}

/// A [`Bus`] on one Redis. Clones share the publishing connection.
#[derive(Clone)]
pub struct RedisBus {
    client: Client,
    mode: Mode,
    publisher: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl std::fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's own output would have the password.
        f.debug_struct("RedisBus").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl RedisBus {
    /// Takes `redis://[user:password@]host[:port][/db]`. Connects later.
    pub fn new(url: &str, mode: Mode) -> Result<Self, BusError> {
        let client = Client::open(url).map_err(|error| BusError::Address(error.to_string()))?;
        Ok(Self { client, mode, publisher: Arc::default() })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, BusError> {
        // Held while connecting, so that a crowd of publishers makes one connection.
        let mut publisher = self.publisher.lock().await;
        if let Some(connection) = &*publisher {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| unreachable(&error))?;
        Ok(publisher.insert(connection).clone())
    }

    async fn send(&self, pipeline: &Pipeline) -> Result<(), SendError> {
        let mut connection = self.connection().await.map_err(SendError::Bus)?;
        let result: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
        if result.is_err() {
            // The next publication starts with a new connection rather than with this one's fate.
            *self.publisher.lock().await = None;
        }
        result.map_err(SendError::Redis)
    }
}

enum SendError {
    Bus(BusError),
    Redis(redis::RedisError),
}

impl From<SendError> for BusError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Bus(error) => error,
            SendError::Redis(error) => unreachable(&error),
        }
    }
}

fn unreachable(error: &redis::RedisError) -> BusError {
    BusError::Unreachable(error.to_string())
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for publication in batch {
            pipeline.publish(&publication.channel, &publication.payload[..]).ignore();
        }
        match self.send(&pipeline).await {
            // The connection was left over from before an outage, of which only using it tells. Saying it again may
            // say it twice; not saying it would lose it although the backplane is there.
            Err(SendError::Redis(error)) if error.is_connection_dropped() => Ok(self.send(&pipeline).await?),
            result => Ok(result?),
        }
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        subscription::open(self.client.clone(), self.mode)
    }
}

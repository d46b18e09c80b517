//! One server, and the connections to it.

use std::{fmt, future::Future, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult,
    aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream},
    io::tcp::TcpSettings,
};
use tokio::time::timeout;

use super::address::{Address, Credentials, Endpoint};

/// Of name resolution, TCP, TLS and login together. Short, since a try that began just before a server came back may
/// hang for as long.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    client: Client,
}

/// What a server did instead of serving. Redis's answers and the system's do not repeat credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Redis at {endpoint}: {cause}")]
pub(super) struct NodeError {
    pub(super) endpoint: Endpoint,
    pub(super) cause: RedisError,
}

impl Node {
    /// A node of `address`; connects later.
    pub(super) fn of(address: &Address, endpoint: Endpoint) -> Self {
        Self::new(endpoint, address.tls, address.credentials.as_ref(), address.database)
    }

    pub(super) fn new(endpoint: Endpoint, tls: bool, credentials: Option<&Credentials>, database: u32) -> Self {
        let (host, port) = (endpoint.host.clone(), endpoint.port);
        let address = if tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut login = RedisConnectionInfo::default().set_db(database.into());
        if let Some(Credentials { user, password }) = credentials {
            login = login.set_password(password);
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        // Small commands follow each other: a subscription must not wait until the last one is acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true);
        let client = address
            .into_connection_info()
            .and_then(|info| Client::open(info.set_redis_settings(login).set_tcp_settings(tcp)))
            .expect("settings that are no longer text need no parsing");
        Self { endpoint, client }
    }

    /// A connection for commands.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, NodeError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(RESPONSE_TIMEOUT));
        self.in_time(self.client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// A connection for subscriptions.
    pub(super) async fn listen(&self) -> Result<(PubSubSink, PubSubStream), NodeError> {
        self.in_time(self.client.get_async_pubsub()).await.map(PubSub::split)
    }

    async fn in_time<T>(&self, connecting: impl Future<Output = RedisResult<T>>) -> Result<T, NodeError> {
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|cause| self.error(cause)),
            Err(_) => Err(self.error((ErrorKind::Io, "no connection in time").into())),
        }
    }

    pub(super) fn error(&self, cause: RedisError) -> NodeError {
        NodeError { endpoint: self.endpoint.clone(), cause }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {}", self.endpoint)
    }
}

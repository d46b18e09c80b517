//! One server, and the connections to it.

use std::{fmt, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult,
    aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::{either::Either, task::AbortOnDropHandle};

use super::address::{Address, Credentials};
use crate::{
    endpoint::Endpoint,
    reach::{self, LOGIN_TIMEOUT, Stream, in_time},
    tls,
};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a connection is asked whether it still carries anything.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    tls: bool,
    login: RedisConnectionInfo,
}

/// A connection for commands, which all clones share.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    /// Reads and writes; without this it would go on as long as a server that hangs.
    _driver: Arc<AbortOnDropHandle<()>>,
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
        let mut login = RedisConnectionInfo::default().set_db(database.into());
        if let Some(Credentials { user, password }) = credentials {
            login = login.set_password(password);
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        Self { endpoint, tls, login }
    }

    pub(super) async fn connect(&self) -> Result<Connection, NodeError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connecting = self.log_in(async |stream| {
            let (commands, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
            Ok(Connection { commands, _driver: Arc::new(AbortOnDropHandle::new(tokio::spawn(driver))) })
        });
        connecting.await.map_err(|cause| self.error(cause))
    }

    /// A connection for subscriptions.
    pub(super) async fn listen(&self) -> Result<(PubSubSink, PubSubStream), NodeError> {
        let connecting = self.log_in(async |stream| Ok(PubSub::new(&self.login, stream).await?.split()));
        connecting.await.map_err(|cause| self.error(cause))
    }

    /// A connection on which nothing is said but who calls.
    pub(super) async fn join(&self) -> Result<Stream, NodeError> {
        let joining = self.log_in(async |mut stream| {
            authenticate(&mut stream, &self.login).await?;
            Ok(stream)
        });
        joining.await.map_err(|cause| self.error(cause))
    }

    async fn log_in<T>(&self, login: impl AsyncFnOnce(Stream) -> RedisResult<T>) -> RedisResult<T> {
        let tcp = reach::tcp(&self.endpoint).await?;
        let logging_in = async {
            let stream = match self.tls {
                true => Either::Right(tls::connect(&self.endpoint.host, tcp).await?),
                false => Either::Left(tcp),
            };
            login(stream).await
        };
        in_time(LOGIN_TIMEOUT, "no login", logging_in).await
    }

    pub(super) fn error(&self, cause: RedisError) -> NodeError {
        NodeError { endpoint: self.endpoint.clone(), cause }
    }
}

/// Whether a server has said no, and will the next time.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

async fn authenticate(stream: &mut Stream, login: &RedisConnectionInfo) -> RedisResult<()> {
    let Some(password) = login.password() else { return Ok(()) };
    let mut command = redis::cmd("AUTH");
    command.arg(login.username()).arg(password);
    stream.write_all(&command.get_packed_command()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        // Byte by byte: what comes behind the answer is for somebody else.
        answer.push(stream.read_u8().await?);
    }
    match answer.strip_prefix(b"-") {
        None => Ok(()),
        Some(refusal) => {
            let refusal = String::from_utf8_lossy(refusal).trim_end().to_owned();
            Err((ErrorKind::AuthenticationFailed, "AUTH is refused", refusal).into())
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {}", self.endpoint)
    }
}

//! A client's settings.

use std::{error::Error, time::Duration};

use signal_seal::identity::JwkError;
use signal_wire::{backoff::Backoff, protocol::Protocol};

use crate::{
    client::{self, Client},
    dial::Dial,
    event::Events,
    rooms::{self, RoomError, Rooms},
    session::Endpoint,
    token::TokenProvider,
};

/// A client that is not started yet. What is not said has the default that its method names.
#[derive(Debug)]
#[must_use = "nothing happens until `connect`"]
pub struct Builder {
    endpoint: Result<Endpoint, ConfigError>,
    token: Option<TokenProvider>,
    rooms: Vec<String>,
    settings: Settings,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) backoff: Backoff,
    pub(crate) stable_after: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) queue: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("the address of an edge begins with ws:// or wss:// and names a host")]
    Url,
    #[error("TLS is not to be had: {0}")]
    Tls(String),
    #[error("a client needs to be told where its tokens come from")]
    NoToken,
    #[error(transparent)]
    Room(#[from] RoomError),
    #[error("a pinned identity cannot be read: {0}")]
    Pin(#[from] JwkError),
    #[error("an edge proves its identity in protocol v2 only")]
    PinNeedsV2,
    #[error("there is no Tokio runtime to run on")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        let settings = Settings {
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(30)),
            stable_after: Duration::from_secs(10),
            heartbeat: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            queue: 1024,
        };
        Self { endpoint: Endpoint::new(url), token: None, rooms: Vec::new(), settings }
    }

    /// Asked for a token before every connection, and ahead of the expiry of the token in use.
    pub fn token<F, Fut, E>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.token = Some(TokenProvider::new(ask));
        self
    }

    /// Rooms to be in from the start.
    pub fn rooms(mut self, rooms: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rooms.extend(rooms.into_iter().map(Into::into));
        self
    }

    /// Opens byte streams in another way than over TCP.
    pub fn dial_with(mut self, dial: impl Dial + 'static) -> Self {
        self.endpoint = self.endpoint.map(|endpoint| endpoint.dial_with(dial));
        self
    }

    /// See [`Endpoint::protocol`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.endpoint = self.endpoint.map(|endpoint| endpoint.protocol(protocol));
        self
    }

    /// See [`Endpoint::pin`]. An edge that is not pinned is told nothing but `authenticate`, and tried again later.
    pub fn pin(mut self, keys: &str) -> Self {
        self.endpoint = self.endpoint.and_then(|endpoint| endpoint.pin(keys));
        self
    }

    /// From the first packet to an open WebSocket; 10 s.
    pub fn open_timeout(mut self, within: Duration) -> Self {
        self.endpoint = self.endpoint.map(|endpoint| endpoint.open_timeout(within));
        self
    }

    /// From `authenticate` to `connected`; 20 s.
    pub fn handshake_timeout(mut self, within: Duration) -> Self {
        self.endpoint = self.endpoint.map(|endpoint| endpoint.handshake_timeout(within));
        self
    }

    /// How often the edge hears from this client; 30 s. An edge closes after 90 s of silence.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.settings.heartbeat = every;
        self
    }

    /// How long after a heartbeat the edge's answer may take; 10 s. Past it the connection is given up.
    pub fn pong_timeout(mut self, within: Duration) -> Self {
        self.settings.pong_timeout = within;
        self
    }

    /// Delays between tries: between 0 and a ceiling that doubles; 500 ms to 30 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How many events may wait for the application; 1024.
    pub fn queue(mut self, events: usize) -> Self {
        self.settings.queue = events;
        self
    }

    /// Starts a task that connects and stays connected until the client is closed or an edge refuses it for good.
    ///
    /// # Errors
    /// If the settings cannot work, or there is no Tokio runtime here.
    pub fn connect(self) -> Result<(Client, Events), ConfigError> {
        let endpoint = self.endpoint?;
        endpoint.check()?;
        let token = self.token.ok_or(ConfigError::NoToken)?;
        let rooms = rooms::with(&Rooms::new(), self.rooms)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
        Ok(client::start(&runtime, endpoint, token, rooms, self.settings))
    }
}

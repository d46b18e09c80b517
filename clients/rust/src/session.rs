//! One socket, authenticated once and never healed.

mod cipher;
mod endpoint;
mod handshake;
mod pins;
mod reader;
mod writer;

use std::time::Duration;

use futures_util::StreamExt;
use signal_wire::{close::CloseCode, connected, protocol::Protocol};
use tokio::time::timeout;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

pub(crate) use self::handshake::error_text;
pub use self::{
    endpoint::Endpoint,
    pins::IdentityError,
    reader::{FrameProblem, Reader, Received},
    writer::{WriteError, Writer},
};
use crate::{
    dial::Transport,
    disconnect::{Close, Disconnect},
};

/// A WebSocket frame as it crossed the wire.
pub use tokio_tungstenite::tungstenite::Message as RawFrame;

type Socket = WebSocketStream<Box<dyn Transport>>;

/// What the edge said when it accepted the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    pub client_id: String,
    /// In decimal, if the token has a number.
    pub user_id: String,
    /// The edge's clock, RFC 3339.
    pub time: String,
    /// What is spoken from here on.
    pub protocol: Protocol,
    /// The id of the pinned key by which the edge proved who it is; `None` if nothing is pinned.
    pub identity: Option<String>,
}

/// Why a session did not come to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("no connection to the edge: {0}")]
    Dial(#[source] std::io::Error),
    #[error("no WebSocket at that address: {0}")]
    Upgrade(#[source] Box<tungstenite::Error>),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// `said` is the last `error` before the close.
    #[error("the edge closed with {close}: {}", said.as_deref().unwrap_or("no word"))]
    Refused { close: Close, said: Option<String> },
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the edge's answer is not one of this protocol")]
    Malformed,
    #[error("no random numbers to be had")]
    Randomness,
    /// The edge is not one that was pinned. It was told nothing but `authenticate`.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// An authenticated connection.
#[derive(Debug)]
pub struct Session {
    connected: Connected,
    reader: Reader,
    writer: Writer,
}

impl Session {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// If the edge is away, is no edge, or does not accept the token. The error does not contain the token.
    pub async fn open(endpoint: &Endpoint, token: &str) -> Result<Self, OpenError> {
        let within = endpoint.open_timeout;
        let mut socket = timeout(within, upgrade(endpoint)).await.map_err(|_| OpenError::Timeout(within))??;
        let within = endpoint.handshake_timeout;
        let agreed = timeout(within, handshake::run(&mut socket, &endpoint.terms, token)).await;
        let agreed = agreed.map_err(|_| OpenError::Timeout(within))??;
        let (outgoing, incoming) = socket.split();
        Ok(Self {
            connected: agreed.connected,
            reader: Reader::new(incoming, agreed.opening),
            writer: Writer::new(outgoing, agreed.sealing),
        })
    }

    pub fn connected(&self) -> &Connected {
        &self.connected
    }

    /// See [`Reader::receive`]. An edge that breaks the protocol is told so by a close.
    ///
    /// # Errors
    /// Once the connection has ended.
    pub async fn receive(&mut self) -> Result<Received, Disconnect> {
        let received = self.reader.receive().await;
        if let Err(Disconnect::Violation(_)) = received {
            // Whether the edge still hears it changes nothing.
            let _ = self.writer.close_with(CloseCode::ProtocolViolation).await;
        }
        received
    }

    /// See [`Writer::send`].
    ///
    /// # Errors
    /// If the message is too large or the connection broke.
    pub async fn send(&mut self, event: &str, data: &impl serde::Serialize) -> Result<(), WriteError> {
        self.writer.send(event, data).await
    }

    /// For a task that reads and another that writes.
    pub fn into_split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

async fn upgrade(endpoint: &Endpoint) -> Result<Socket, OpenError> {
    let stream = endpoint.dial().await.map_err(OpenError::Dial)?;
    let (socket, _response) = client_async_with_config(endpoint.uri.clone(), stream, Some(endpoint.frames))
        .await
        .map_err(|error| OpenError::Upgrade(Box::new(error)))?;
    Ok(socket)
}

impl Connected {
    fn new(offer: connected::Connected, protocol: Protocol, identity: Option<String>) -> Result<Self, OpenError> {
        let user_id = match serde_json::from_str(offer.user_id.get()) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Number(number)) => number.to_string(),
            _ => return Err(OpenError::Malformed),
        };
        Ok(Self { client_id: offer.id, user_id, time: offer.time, protocol, identity })
    }
}

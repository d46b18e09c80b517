//! One socket, authenticated once and never healed.

mod endpoint;
mod handshake;
mod reader;
mod writer;

use std::time::Duration;

use futures_util::StreamExt;
use signal_wire::connected;
use tokio::time::timeout;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

pub(crate) use self::handshake::error_text;
pub use self::{
    endpoint::Endpoint,
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
        let agreed = timeout(within, handshake::run(&mut socket, token)).await;
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

    /// See [`Reader::receive`].
    pub async fn receive(&mut self) -> Result<Received, Disconnect> {
        self.reader.receive().await
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

impl TryFrom<connected::Connected> for Connected {
    type Error = OpenError;

    fn try_from(offer: connected::Connected) -> Result<Self, OpenError> {
        let user_id = match serde_json::from_str(offer.user_id.get()) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Number(number)) => number.to_string(),
            _ => return Err(OpenError::Malformed),
        };
        Ok(Self { client_id: offer.id, user_id, time: offer.time })
    }
}

//! The half of a session that sends.

use std::fmt;

use futures_util::{SinkExt, stream::SplitSink};
use serde::Serialize;
use signal_wire::{close::CloseCode, frame::MAX_INBOUND_BYTES, message};
use tokio_tungstenite::tungstenite::{
    Bytes, Message as RawFrame,
    protocol::{CloseFrame, frame::coding},
};

use super::{Socket, cipher::Sealing};

pub struct Writer {
    outgoing: SplitSink<Socket, RawFrame>,
    sealing: Sealing,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An edge would close with 1009.
    #[error("sealed, the message would exceed the 128 KiB that an edge takes")]
    TooLarge,
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Writer {
    pub(super) fn new(outgoing: SplitSink<Socket, RawFrame>, sealing: Sealing) -> Self {
        Self { outgoing, sealing }
    }

    /// Seals and sends one message; returns once the operating system has it.
    ///
    /// # Errors
    /// If it is too large or the connection broke.
    pub async fn send(&mut self, event: &str, data: &impl Serialize) -> Result<(), WriteError> {
        self.send_plaintext(&message::compose_value(event, data)).await
    }

    /// Seals and sends what is a message already, or is not: for tests of edges.
    ///
    /// # Errors
    /// If it is too large or the connection broke.
    pub async fn send_plaintext(&mut self, message: &[u8]) -> Result<(), WriteError> {
        if self.sealing.sealed_len(message.len()) > MAX_INBOUND_BYTES {
            return Err(WriteError::TooLarge);
        }
        let frame = self.seal(message);
        self.send_raw(frame).await
    }

    /// Seals a message of any size without sending it, for tests of edges. In v2 the frame uses up its place: unless
    /// it is the next to be sent, the edge opens neither it nor what comes after.
    #[must_use]
    pub fn seal(&mut self, message: &[u8]) -> RawFrame {
        self.sealing.seal(message)
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn send_raw(&mut self, frame: RawFrame) -> Result<(), WriteError> {
        self.outgoing.send(frame).await.map_err(|error| WriteError::Broken(error.to_string()))
    }

    /// Asks for a pong.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn ping(&mut self) -> Result<(), WriteError> {
        self.send_raw(RawFrame::Ping(Bytes::new())).await
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn close(&mut self) -> Result<(), WriteError> {
        self.send_raw(RawFrame::Close(Some(CloseFrame { code: coding::CloseCode::Normal, reason: "".into() }))).await
    }

    /// Says goodbye, and why.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn close_with(&mut self, why: CloseCode) -> Result<(), WriteError> {
        let frame = CloseFrame { code: why.code().into(), reason: why.reason().into() };
        self.send_raw(RawFrame::Close(Some(frame))).await
    }

    /// Sends what is owed: the answer to a close.
    pub(crate) async fn flush(&mut self) {
        // Whether the edge still listens changes nothing.
        let _ = self.outgoing.flush().await;
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

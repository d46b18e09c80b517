//! The half of a session that receives.

use std::fmt;

use futures_util::{StreamExt, stream::SplitStream};
use signal_seal::v1::Cipher;
use signal_wire::{frame::ClientFrame, message::event, sealed::Sealed};
use tokio_tungstenite::tungstenite::{Message as RawFrame, protocol::CloseFrame};

use super::Socket;
use crate::{
    disconnect::{Close, Disconnect},
    message::Message,
};

pub struct Reader {
    incoming: SplitStream<Socket>,
    cipher: Cipher,
}

/// One frame of the edge.
#[derive(Debug)]
pub enum Received {
    Message(Message),
    /// A frame that is not to be used. The session goes on, but a push may have been in it.
    Problem(FrameProblem),
    /// A ping or a pong: the edge is there.
    Alive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameProblem {
    #[error("a frame is not one of this protocol")]
    Malformed,
    /// Whoever can put plaintext into the stream is not the edge that has the key.
    #[error("a frame in plaintext came after `connected`")]
    NotSealed,
    #[error("a frame does not open")]
    DoesNotOpen,
}

impl Reader {
    pub(super) fn new(incoming: SplitStream<Socket>, cipher: Cipher) -> Self {
        Self { incoming, cipher }
    }

    /// The next frame, opened. Cancel-safe.
    ///
    /// # Errors
    /// Once the connection has ended.
    pub async fn receive(&mut self) -> Result<Received, Disconnect> {
        Ok(match self.receive_raw().await? {
            RawFrame::Text(text) => match self.open(text.as_bytes()) {
                Ok(message) => Received::Message(message),
                Err(problem) => Received::Problem(problem),
            },
            RawFrame::Ping(_) | RawFrame::Pong(_) => Received::Alive,
            RawFrame::Binary(_) | RawFrame::Frame(_) => Received::Problem(FrameProblem::Malformed),
            RawFrame::Close(frame) => return Err(Disconnect::Closed(close_of(frame))),
        })
    }

    /// The next frame as it crossed the wire. Cancel-safe.
    ///
    /// # Errors
    /// If the connection broke; a close frame is a frame.
    pub async fn receive_raw(&mut self) -> Result<RawFrame, Disconnect> {
        match self.incoming.next().await {
            Some(Ok(frame)) => Ok(frame),
            Some(Err(error)) => Err(Disconnect::Broken(error.to_string())),
            None => Err(Disconnect::Broken("the edge closed the connection".to_owned())),
        }
    }

    /// Opens one sealed text frame.
    ///
    /// # Errors
    /// If it is none, or not one of this session.
    pub fn open(&self, frame: &[u8]) -> Result<Message, FrameProblem> {
        let plaintext = self.open_raw(frame)?;
        Message::parse(&plaintext).map_err(|_| FrameProblem::Malformed)
    }

    /// The plaintext of one sealed text frame, to the byte.
    ///
    /// # Errors
    /// If it is none, or not one of this session.
    pub fn open_raw(&self, frame: &[u8]) -> Result<Vec<u8>, FrameProblem> {
        let frame = ClientFrame::parse(frame).map_err(|_| FrameProblem::Malformed)?;
        if frame.event != event::ENCRYPTED {
            return Err(FrameProblem::NotSealed);
        }
        let data = frame.data.ok_or(FrameProblem::Malformed)?;
        let sealed = Sealed::parse(data.get()).map_err(|_| FrameProblem::Malformed)?;
        self.cipher.open(&sealed).map_err(|_| FrameProblem::DoesNotOpen)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// RFC 6455, 7.1.5: no code is 1005.
pub(super) fn close_of(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
        None => Close { code: 1005, reason: String::new() },
    }
}

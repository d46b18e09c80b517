//! The half of a session that receives.

use std::fmt;

use futures_util::{StreamExt, stream::SplitStream};
use tokio_tungstenite::tungstenite::{Message as RawFrame, protocol::CloseFrame};

use super::{Socket, cipher::Opening};
use crate::{
    disconnect::{Close, Disconnect},
    message::Message,
};

pub struct Reader {
    incoming: SplitStream<Socket>,
    opening: Opening,
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
    pub(super) fn new(incoming: SplitStream<Socket>, opening: Opening) -> Self {
        Self { incoming, opening }
    }

    /// The next frame, opened. Cancel-safe.
    ///
    /// # Errors
    /// Once the connection has ended, or when it must: in v2 a frame that is in plaintext or does not open means that
    /// somebody replayed, reordered, dropped or altered what the edge sent, and nothing after it can be relied on.
    pub async fn receive(&mut self) -> Result<Received, Disconnect> {
        let opened = match (self.receive_raw().await?, &self.opening) {
            (RawFrame::Ping(_) | RawFrame::Pong(_), _) => return Ok(Received::Alive),
            (RawFrame::Close(frame), _) => return Err(Disconnect::Closed(close_of(frame))),
            (RawFrame::Text(text), Opening::V1(_)) => self.open(text.as_bytes()),
            (RawFrame::Text(_), Opening::V2(_)) => Err(FrameProblem::NotSealed),
            (RawFrame::Binary(frame), Opening::V2(_)) => self.open(&frame),
            (RawFrame::Binary(_), Opening::V1(_)) | (RawFrame::Frame(_), _) => Err(FrameProblem::Malformed),
        };
        match (opened, &self.opening) {
            (Ok(message), _) => Ok(Received::Message(message)),
            (Err(problem @ (FrameProblem::NotSealed | FrameProblem::DoesNotOpen)), Opening::V2(_)) => {
                Err(Disconnect::Violation(problem))
            }
            (Err(problem), _) => Ok(Received::Problem(problem)),
        }
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

    /// Opens the payload of one sealed frame: text in v1, binary in v2, where it must be the one that is due.
    ///
    /// # Errors
    /// If it is none, or not one of this session.
    pub fn open(&mut self, frame: &[u8]) -> Result<Message, FrameProblem> {
        let plaintext = self.open_raw(frame)?;
        Message::parse(&plaintext).map_err(|_| FrameProblem::Malformed)
    }

    /// The plaintext of one sealed frame, to the byte. See [`Reader::open`].
    ///
    /// # Errors
    /// If it is none, or not one of this session.
    pub fn open_raw(&mut self, frame: &[u8]) -> Result<Vec<u8>, FrameProblem> {
        self.opening.open(frame)
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

//! What a client tells its application.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use signal_wire::refresh::Refreshed;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::{
    disconnect::Disconnect,
    message::Message,
    refresh::RefreshError,
    session::{Connected, FrameProblem},
};

#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session has begun; pushes and the rooms that were joined follow.
    Connected(Connected),
    /// A push, in the order in which the edge sent it. A notification that was seen before is left out.
    Message(Message),
    /// Pushes may have been missed: read the list over REST again.
    Resync { reason: String },
    /// The edge took the next token.
    Refreshed(Refreshed),
    /// Something went wrong that does not end the connection.
    Error(Problem),
    /// There is no connection; the next try begins after `retry_in`.
    Disconnected { cause: Disconnect, retry_in: Duration },
    /// The last event: nothing more will be tried.
    Closed(Closed),
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    #[error("closed by the application")]
    Requested,
    /// Trying again would end the same way.
    #[error(transparent)]
    Final(Disconnect),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A frame that is not to be used.
    #[error(transparent)]
    Frame(#[from] FrameProblem),
    /// The edge's words about something that this client sent.
    #[error("the edge says: {0}")]
    Edge(String),
    /// The next token is not in use; it is tried again while the present one lives.
    #[error("the token was not refreshed: {0}")]
    Refresh(#[source] RefreshError),
}

/// The events of one client: a bounded queue. While it is full the socket is not read, and an edge that cannot write
/// for too long closes with 4008, after which there is a resync. Dropping it closes the client.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Event>,
    _close: DropGuard,
}

impl Events {
    pub(crate) fn new(queue: mpsc::Receiver<Event>, close: DropGuard) -> Self {
        Self { queue, _close: close }
    }

    /// The next event; `None` after [`Event::Closed`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_recv(cx)
    }
}

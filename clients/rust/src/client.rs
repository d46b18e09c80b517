//! The application's hold on a connection that outlives sockets.

use std::sync::Arc;

use serde::Serialize;
use signal_wire::{frame::MAX_INBOUND_BYTES, message, refresh::Refreshed, sealed::sealed_len};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    builder::{Builder, Settings},
    driver::{self, Driver},
    event::Events,
    refresh::{RefreshError, Waiting},
    rooms::{self, RoomError, Rooms},
    session::Endpoint,
    token::TokenProvider,
};

/// Messages that were taken from the application and are not written yet.
const UNSENT: usize = 64;
/// Refreshes that nobody has looked at yet.
const UNHEARD: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Getting a token, opening a socket, authenticating.
    Connecting,
    Connected,
    /// Until the next try.
    Waiting,
    /// For good.
    Closed,
}

/// One logical connection. Clones are the same connection; it ends with [`Client::close`], or when its
/// [`Events`] are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    rooms: Arc<watch::Sender<Rooms>>,
    outgoing: mpsc::Sender<Vec<u8>>,
    refreshes: mpsc::Sender<Waiting>,
    state: watch::Receiver<State>,
    stop: CancellationToken,
}

/// The message was not taken. Nothing is kept to be sent later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    #[error("there is no connection")]
    NotConnected,
    #[error("messages are taken faster than the connection carries them")]
    Full,
    #[error("sealed, the message would exceed the 128 KiB that an edge takes")]
    TooLarge,
    #[error("data is not to be had as JSON: {0}")]
    Data(#[from] serde_json::Error),
}

impl Client {
    /// `url` is the edge's stream: `wss://host/stream`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// Enters rooms, now and after every reconnect. Edges refuse silently what their policy does not allow.
    ///
    /// # Errors
    /// For a name that no edge takes, or too many; then no room was entered.
    pub fn join(&self, rooms: impl IntoIterator<Item = impl Into<String>>) -> Result<(), RoomError> {
        let more: Vec<String> = rooms.into_iter().map(Into::into).collect();
        let mut outcome = Ok(());
        self.rooms.send_if_modified(|held| match rooms::with(held, more) {
            Ok(rooms) => {
                let changed = rooms != *held;
                *held = rooms;
                changed
            }
            Err(error) => {
                outcome = Err(error);
                false
            }
        });
        outcome
    }

    /// Leaves rooms that were joined by [`Client::join`].
    pub fn leave(&self, rooms: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rooms.send_if_modified(|held| {
            let before = held.len();
            rooms.into_iter().for_each(|room| {
                held.remove(room.as_ref());
            });
            held.len() != before
        });
    }

    /// Seals and sends a message. A message that is on its way when the connection ends is lost.
    ///
    /// # Errors
    /// If it cannot be taken now, or never.
    pub fn send(&self, event: &str, data: &impl Serialize) -> Result<(), SendError> {
        let data = serde_json::value::to_raw_value(data)?;
        let message = message::compose(event, Some(&data));
        if sealed_len(message.len()) > MAX_INBOUND_BYTES {
            return Err(SendError::TooLarge);
        }
        if self.state() != State::Connected {
            return Err(SendError::NotConnected);
        }
        self.outgoing.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::NotConnected,
        })
    }

    /// Asks the token provider for the next token and hands it to the edge, without a new connection. Ahead of an expiry
    /// that is known this happens by itself. Calls while one is under way wait for that.
    ///
    /// # Errors
    /// If there is no other token, or it was not taken: then the session is as it was.
    pub async fn refresh(&self) -> Result<Refreshed, RefreshError> {
        let mut state = self.state.clone();
        let answered = async {
            let (waiting, answer) = oneshot::channel();
            self.refreshes.send(waiting).await.ok()?;
            answer.await.ok()
        };
        if self.state() != State::Connected {
            return Err(RefreshError::NotConnected);
        }
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(RefreshError::NotConnected)),
            _ = state.wait_for(|state| *state != State::Connected) => Err(RefreshError::NotConnected),
        }
    }

    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits for a connection; `false` if there will be none any more.
    pub async fn ready(&self) -> bool {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| matches!(state, State::Connected | State::Closed)).await;
        settled.is_ok_and(|state| *state == State::Connected)
    }

    /// Ends it for good; the last event is [`crate::Event::Closed`].
    pub fn close(&self) {
        self.stop.cancel();
    }
}

pub(crate) fn start(
    runtime: &Handle,
    endpoint: Endpoint,
    token: TokenProvider,
    rooms: Rooms,
    settings: Settings,
) -> (Client, Events) {
    let (events, queue) = mpsc::channel(settings.queue.max(1));
    let (outgoing, unsent) = mpsc::channel(UNSENT);
    let (refreshes, unheard) = mpsc::channel(UNHEARD);
    let (state, state_seen) = watch::channel(State::Connecting);
    let (rooms, wanted) = watch::channel(rooms);
    let stop = CancellationToken::new();
    let link = driver::Link { rooms: wanted, outgoing: unsent, refreshes: unheard, state, events, stop: stop.clone() };
    runtime.spawn(Driver::new(endpoint, token, settings, link).run());
    let events = Events::new(queue, stop.clone().drop_guard());
    (Client { rooms: Arc::new(rooms), outgoing, refreshes, state: state_seen, stop }, events)
}

//! A client that is somebody: what it says, until it goes.

use std::{borrow::Cow, future::poll_fn, sync::Arc};

use futures_util::FutureExt;
use signal_wire::{close::CloseCode, envelope::Target, message::error};

use super::{
    End, FRAMES_PER_TURN, Reader,
    machine::{self, After, Wrapping},
};
use crate::{
    app::Shared,
    authenticate::{Accepted, Presence},
    connection::{Connection, Link, Turn},
    metrics,
    registry::Joined,
    rooms::{self, Refusal, Wish},
};

/// A registered client. Dropping it takes it out of the registry and off the backplane, whatever ended its session.
#[derive(Debug)]
pub(super) struct Member {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    _presence: Presence,
}

impl Member {
    /// Welcomes the client and lets pushes see it.
    pub(super) fn enter(shared: &Arc<Shared>, link: &Arc<Link>, accepted: Accepted) -> Self {
        let Accepted { identity, cipher, connected, presence } = accepted;
        let register = |connection: &Arc<Connection>| shared.registry.insert(connection);
        let connection = Connection::welcome(Arc::clone(link), &connected, cipher, identity, register);
        shared.expiries.watch(&connection);
        metrics::connections(1.0);
        // The stop may have closed everybody between the check and the registration.
        if shared.stop.is_cancelled() {
            connection.close(CloseCode::ServerShutdown);
        }
        Self { shared: Arc::clone(shared), connection, _presence: presence }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(joined) = self.shared.registry.remove(&self.connection) {
            let channels: Vec<_> = joined.iter().map(|room| Target::Room(room).channel()).collect();
            if !channels.is_empty() {
                self.shared.channels.release(channels);
            }
            metrics::connections(-1.0);
        }
    }
}

/// Returns once the link is closing.
pub(super) async fn live(shared: &Shared, member: &Member, reader: &mut Reader) {
    let connection = &member.connection;
    // It reads first: what came along with the offer is in tungstenite's buffer, where no readiness tells of it.
    loop {
        match read(shared, connection, reader) {
            Read::All if poll_fn(|cx| connection.link().poll_turn(cx)).await == Turn::Readable => {}
            Read::Some if connection.link().is_open() => tokio::task::yield_now().await,
            _ => return,
        }
    }
}

/// How far reading came.
enum Read {
    /// Nothing is left for now.
    All,
    /// Others are to have their turn.
    Some,
    Closing,
}

fn read(shared: &Shared, connection: &Arc<Connection>, reader: &mut Reader) -> Read {
    for _ in 0..FRAMES_PER_TURN {
        match reader.read(connection.link()) {
            Ok(None) => {}
            Ok(Some(message)) => handle(shared, connection, &message.into_data(), Wrapping::Plain),
            Err(End::Empty) => return Read::All,
            Err(End::Gone) => return Read::Closing,
            Err(End::Broke(code)) => {
                connection.close(code);
                return Read::Closing;
            }
        }
    }
    Read::Some
}

fn handle(shared: &Shared, connection: &Arc<Connection>, message: &[u8], wrapping: Wrapping) {
    match machine::after(message, wrapping, shared.settings.plaintext_inbound) {
        After::Heartbeat => metrics::inbound("heartbeat"),
        After::Ignored => metrics::inbound("ignored"),
        After::Refused(label) => metrics::inbound_refused(label),
        After::Error(text) => {
            metrics::inbound_refused(label_of(text));
            connection.push_error(text);
        }
        After::Open(sealed) => match connection.open(&sealed) {
            Ok(plaintext) => handle(shared, connection, &plaintext, Wrapping::Sealed),
            Err(_) => {
                metrics::inbound_refused("decryption");
                connection.push_error(error::DECRYPTION_FAILED);
            }
        },
        After::Join(rooms) => {
            metrics::inbound("join");
            join(shared, connection, &rooms);
        }
        After::Leave(rooms) => {
            metrics::inbound("leave");
            leave(shared, connection, &rooms);
        }
    }
}

fn label_of(text: &str) -> &'static str {
    match text {
        error::DECRYPTION_FAILED => "decryption",
        error::ALREADY_AUTHENTICATED => "already_authenticated",
        _ => "malformed",
    }
}

fn join(shared: &Shared, connection: &Arc<Connection>, rooms: &[Cow<'_, str>]) {
    let mut channels = Vec::new();
    for room in rooms {
        let refusal = match rooms::judge(&shared.settings.joinable_rooms, &connection.identity, room) {
            Wish::Automatic(room) => {
                connection.enter(room);
                continue;
            }
            Wish::Refused(refusal) => refusal,
            Wish::Joinable => match shared.registry.join(connection, room) {
                Joined::New => {
                    channels.push(Target::Room(room).channel());
                    continue;
                }
                Joined::Already | Joined::Gone => continue,
                Joined::TooMany => Refusal::TooMany,
            },
        };
        metrics::inbound_refused(refusal.label());
    }
    if !channels.is_empty() {
        // A join has no answer that would have to wait for the confirmation; the first poll makes the request.
        let _ = shared.channels.acquire(channels).now_or_never();
    }
}

fn leave(shared: &Shared, connection: &Arc<Connection>, rooms: &[Cow<'_, str>]) {
    let mut channels = Vec::new();
    for room in rooms {
        match rooms::judge(&shared.settings.joinable_rooms, &connection.identity, room) {
            Wish::Automatic(room) => connection.leave(room),
            Wish::Refused(_) => metrics::inbound_refused("not_joined"),
            Wish::Joinable if shared.registry.leave(connection, room) => channels.push(Target::Room(room).channel()),
            Wish::Joinable => metrics::inbound_refused("not_joined"),
        }
    }
    if !channels.is_empty() {
        shared.channels.release(channels);
    }
}

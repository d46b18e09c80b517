//! What a live client's frames make happen.

use std::{borrow::Cow, sync::Arc};

use futures_util::FutureExt;
use signal_wire::{close::CloseCode, envelope::Target, message::error};
use tungstenite::Message;

use super::{
    machine::{self, After, Carriage, Wrapping},
    refresh::Refresh,
};
use crate::{
    app::Shared,
    connection::Connection,
    metrics,
    registry::Joined,
    rooms::{self, Refusal, Wish},
};

/// Handles a data frame; `Err` if it breaks the protocol in a way that ends the session.
pub(super) fn frame<'a>(
    shared: &'a Shared,
    connection: &Arc<Connection>,
    refresh: &mut Refresh<'a>,
    frame: Message,
) -> Result<(), CloseCode> {
    let carriage = machine::carriage(connection.identity.protocol, matches!(frame, Message::Binary(_)));
    let frame = frame.into_data();
    match carriage {
        Carriage::Plain => handle(shared, connection, refresh, &frame, Wrapping::Plain),
        Carriage::Sealed => match connection.open_frame(&frame) {
            Ok(message) => handle(shared, connection, refresh, &message, Wrapping::Sealed),
            Err(_) => return Err(violation("frame_does_not_open")),
        },
        Carriage::Violation => return Err(violation("text_frame")),
    }
    Ok(())
}

fn violation(label: &'static str) -> CloseCode {
    metrics::inbound_refused(label);
    CloseCode::ProtocolViolation
}

fn handle<'a>(
    shared: &'a Shared,
    connection: &Arc<Connection>,
    refresh: &mut Refresh<'a>,
    message: &[u8],
    wrapping: Wrapping,
) {
    match machine::after(message, wrapping, shared.settings.plaintext_inbound) {
        After::Heartbeat => metrics::inbound("heartbeat"),
        After::Ignored => metrics::inbound("ignored"),
        After::Refused(label) => metrics::inbound_refused(label),
        After::Error(text) => {
            metrics::inbound_refused(label_of(text));
            connection.push_error(text);
        }
        After::Open(envelope) => match connection.open_envelope(&envelope) {
            Ok(plaintext) => handle(shared, connection, refresh, &plaintext, Wrapping::Sealed),
            Err(_) => {
                metrics::inbound_refused("decryption");
                connection.push_error(error::DECRYPTION_FAILED);
            }
        },
        After::Refresh(token) => refresh.offer(shared, connection, token.into_owned()),
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
        error::REFRESH_FAILED => "refresh_malformed",
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

//! A client that is somebody: what it says, until it goes.

use std::{future::poll_fn, sync::Arc, task::Poll};

use signal_wire::{close::CloseCode, envelope::Target};

use super::{End, FRAMES_PER_TURN, Reader, inbound, refresh::Refresh};
use crate::{
    app::Shared,
    authenticate::{Accepted, Presence},
    connection::{Connection, Link, Turn},
    metrics,
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
        metrics::connections(connection.identity.protocol, 1.0);
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
            metrics::connections(self.connection.identity.protocol, -1.0);
        }
    }
}

/// Returns once the link is closing.
pub(super) async fn live(shared: &Shared, member: &Member, reader: &mut Reader) {
    let connection = &member.connection;
    let mut refresh = Refresh::default();
    // It reads first: what came along with the offer is in tungstenite's buffer, where no readiness tells of it.
    loop {
        let read = read(shared, connection, &mut refresh, reader);
        let turn = poll_fn(|cx| {
            refresh.poll(shared, connection, cx);
            match read {
                Read::All => connection.link().poll_turn(cx),
                Read::Some | Read::Closing => Poll::Ready(Turn::Readable),
            }
        });
        match (turn.await, &read) {
            (Turn::Readable, Read::All) => {}
            (Turn::Readable, Read::Some) if connection.link().is_open() => tokio::task::yield_now().await,
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

fn read<'a>(shared: &'a Shared, connection: &Arc<Connection>, refresh: &mut Refresh<'a>, reader: &mut Reader) -> Read {
    for _ in 0..FRAMES_PER_TURN {
        let handled = match reader.read(connection.link()) {
            Ok(None) => Ok(()),
            Ok(Some(frame)) => inbound::frame(shared, connection, refresh, frame),
            Err(End::Empty) => return Read::All,
            Err(End::Gone) => return Read::Closing,
            Err(End::Broke(code)) => Err(code),
        };
        if let Err(code) = handled {
            connection.close(code);
            return Read::Closing;
        }
    }
    Read::Some
}

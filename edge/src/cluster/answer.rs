//! What this edge answers, to itself and to others.

use std::sync::Arc;

use serde_json::value::to_value;
use signal_bus::Publication;
use signal_wire::{
    close::CloseCode,
    control::{Answer, Ask, Channel, Client, Page, Reply, Request, ToClient},
    envelope::{Envelope, Target},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Cluster;
use crate::{
    bounded::Receiver,
    connection::{AutomaticRoom, Connection},
    fanout::Push,
    metrics,
    registry::Wanted,
};

/// What a page may take on the wire. One client takes less, whatever its rooms are called.
const PAGE_BYTES: usize = 512 * 1024;
/// Clients on a page.
pub(crate) const MAX_LIMIT: usize = 200;
/// Answers that leave together.
const BATCH: usize = 16;

/// A request that waits to be worked off.
#[derive(Debug)]
pub(super) struct Work {
    request: Request,
    since: Instant,
}

impl Work {
    pub(super) fn new(request: Request) -> Self {
        Self { request, since: Instant::now() }
    }
}

/// Runs until it is dropped.
pub(super) async fn work_off(cluster: Arc<Cluster>, mut waiting: Receiver<Work>) {
    let mut works = Vec::new();
    while waiting.recv_many(&mut works, BATCH).await > 0 {
        let mut replies = Vec::with_capacity(works.len());
        for Work { request, since } in works.drain(..) {
            if since.elapsed() > cluster.settings.reply_timeout {
                // Who asked has been told that it was not answered; now it is not to happen any more.
                metrics::control_refused("late");
                continue;
            }
            let reply = Reply { edge: cluster.edge_name.to_string(), answer: cluster.answer(&request.ask) };
            let channel = Channel::Reply(&request.id).name();
            replies.push(Publication { channel, payload: reply.encode().into() });
        }
        if !replies.is_empty() && !cluster.publish(replies).await {
            metrics::control_refused("unpublished");
        }
    }
}

impl Cluster {
    /// What this edge alone has to say.
    pub(super) fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::List { user_id, room, after, limit } => {
                let wanted = Wanted { user: user_id.as_deref(), room: room.as_deref() };
                Answer::Page(self.page(wanted, after.as_deref().and_then(parse), (*limit).clamp(1, MAX_LIMIT)))
            }
            Ask::Get { client_id } => {
                self.client(client_id, |connection| self.shown(connection).map_or(Answer::Absent, Answer::Client))
            }
            Ask::Disconnect { client_id } => self.client(client_id, |connection| {
                connection.close(CloseCode::Disconnected);
                Answer::Done
            }),
            Ask::Send(message) => self.client(&message.client_id, |_| self.send(message)),
        }
    }

    fn client(&self, id: &str, found: impl FnOnce(&Connection) -> Answer) -> Answer {
        let connection = parse(id).and_then(|id| self.registry.get(id));
        connection.map_or(Answer::Absent, |connection| found(&connection))
    }

    fn send(&self, message: &ToClient) -> Answer {
        let target = Target::Client(&message.client_id);
        let envelope = Envelope::new(&self.edge_name, target, &message.event, message.data.as_deref());
        match self.push(Push::new(target, &envelope)) {
            Ok(()) => Answer::Done,
            Err(_) => Answer::Busy,
        }
    }

    fn page(&self, wanted: Wanted<'_>, after: Option<Uuid>, limit: usize) -> Page {
        let listed = self.registry.page(wanted, after, limit);
        let last = listed.clients.last().map(|connection| connection.identity.id);
        let mut page = Page { clients: Vec::with_capacity(listed.clients.len()), until: None };
        let mut bytes = 0;
        for connection in &listed.clients {
            // Who has gone meanwhile is not listed.
            let Some(client) = self.shown(connection) else { continue };
            bytes += serde_json::to_string(&client).map_or(PAGE_BYTES, |text| text.len());
            if bytes > PAGE_BYTES && !page.clients.is_empty() {
                page.until = page.clients.last().map(|client| client.id.clone());
                return page;
            }
            page.clients.push(client);
        }
        page.until = last.filter(|_| listed.more).map(|id| id.to_string());
        page
    }

    /// `None` if the client is gone.
    fn shown(&self, connection: &Connection) -> Option<Client> {
        let joined = self.registry.joined(connection)?;
        Some(Client {
            id: connection.identity.id.to_string(),
            user_id: to_value(&connection.identity.user).expect("a user id is a string or a number"),
            rooms: AutomaticRoom::of(connection).chain(joined.iter().map(|room| room.to_string())).collect(),
            protocol: connection.identity.protocol.number(),
            connected_at: connection.connected_at(),
            last_activity: connection.last_heard_at(),
        })
    }
}

fn parse(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok()
}

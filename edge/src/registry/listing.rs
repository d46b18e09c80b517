//! Who is connected, a page at a time, in the order of their ids: stable however clients come and go.

use std::{iter, ops::Bound, sync::Arc};

use signal_wire::{envelope::Target, room};
use uuid::Uuid;

use super::{ById, Partition, Reach, Registry};
use crate::connection::{AutomaticRoom, Connection};

/// Clients that are looked at before a partition's lock is let go for a moment.
const LOOKS_PER_LOCK: usize = 256;

/// Which clients a page is of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) user: Option<&'a str>,
    /// A room as clients know it, automatic ones among them.
    pub(crate) room: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) clients: Vec<Arc<Connection>>,
    /// There are more behind the last one.
    pub(crate) more: bool,
}

impl Registry {
    /// The next clients whose ids are above `after`, at most `limit`.
    pub(crate) fn page(&self, wanted: Wanted<'_>, after: Option<Uuid>, limit: usize) -> Listed {
        let reach = match wanted {
            Wanted { user: Some(user), .. } => self.reach(Target::User(user)),
            Wanted { room: Some(room), .. } => self.reach(Target::Room(room)),
            Wanted { .. } => Reach::All,
        };
        let mut clients = Vec::new();
        for (index, partition) in self.partitions.iter().enumerate() {
            if reach != Reach::All && reach != Reach::One(index) {
                continue;
            }
            // One more than asked for, which tells whether there are more.
            let enough = clients.len() + limit + 1;
            let mut from = after;
            while let Some(looked_up_to) = partition.lock().look(wanted, from, enough, &mut clients) {
                from = Some(looked_up_to);
            }
        }
        clients.sort_unstable_by_key(|connection| connection.identity.id);
        let more = clients.len() > limit;
        clients.truncate(limit);
        Listed { clients, more }
    }

    /// The rooms that a client has joined; `None` if it is gone.
    pub(crate) fn joined(&self, connection: &Connection) -> Option<Vec<Arc<str>>> {
        let id = connection.identity.id;
        let partition = self.partition(connection.identity.user.text()).lock();
        partition.clients.contains_key(&id).then(|| partition.joined.get(&id).cloned().unwrap_or_default())
    }
}

impl Partition {
    /// Adds the next clients to `found` until it has `enough`. Where it stopped for others' sake alone, the id to go on
    /// behind.
    fn look(
        &self,
        wanted: Wanted<'_>,
        after: Option<Uuid>,
        enough: usize,
        found: &mut Vec<Arc<Connection>>,
    ) -> Option<Uuid> {
        for (looks, connection) in self.candidates(wanted, after).enumerate() {
            if found.len() >= enough {
                return None;
            }
            if self.is_wanted(wanted, connection) {
                found.push(Arc::clone(connection));
            }
            if looks + 1 == LOOKS_PER_LOCK {
                return Some(connection.identity.id);
            }
        }
        None
    }

    /// Everybody above `after` who may be wanted, by id.
    fn candidates<'a>(
        &'a self,
        wanted: Wanted<'a>,
        after: Option<Uuid>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Connection>> + 'a> {
        let user = wanted.user.or_else(|| wanted.room.and_then(room::recipient_user));
        match (user, wanted.room) {
            (Some(user), _) => {
                let connections = self.user(user);
                let from = after.map_or(0, |after| connections.partition_point(|c| c.identity.id <= after));
                Box::new(connections[from..].iter())
            }
            (None, None | Some(room::DEFAULT | room::NOTIFICATION)) => Box::new(behind(&self.clients, after)),
            (None, Some(room)) => match (self.client(room), self.rooms.get(room)) {
                (Some(own), _) if after.is_none_or(|after| own.identity.id > after) => Box::new(iter::once(own)),
                (None, Some(members)) => Box::new(behind(members, after)),
                _ => Box::new(iter::empty()),
            },
        }
    }

    fn is_wanted(&self, wanted: Wanted<'_>, connection: &Connection) -> bool {
        wanted.user.is_none_or(|user| connection.identity.user.text() == user)
            && wanted.room.is_none_or(|room| match AutomaticRoom::named(room, connection) {
                Some(automatic) => connection.is_in(automatic),
                None => self.rooms.get(room).is_some_and(|members| members.contains_key(&connection.identity.id)),
            })
    }
}

fn behind(clients: &ById, after: Option<Uuid>) -> impl Iterator<Item = &Arc<Connection>> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    clients.range((from, Bound::Unbounded)).map(|(_, connection)| connection)
}

impl AutomaticRoom {
    const ALL: [Self; 4] = [Self::Own, Self::Default, Self::Notification, Self::Recipient];

    fn named(room: &str, connection: &Connection) -> Option<Self> {
        match room {
            room::DEFAULT => Some(Self::Default),
            room::NOTIFICATION => Some(Self::Notification),
            _ if room::recipient_user(room) == Some(connection.identity.user.text()) => Some(Self::Recipient),
            _ => (connection.identity.id.to_string() == room).then_some(Self::Own),
        }
    }

    fn name(self, connection: &Connection) -> String {
        match self {
            Self::Own => connection.identity.id.to_string(),
            Self::Default => room::DEFAULT.to_owned(),
            Self::Notification => room::NOTIFICATION.to_owned(),
            Self::Recipient => room::recipient(connection.identity.user.text()),
        }
    }

    /// Those that this client is in.
    pub(crate) fn of(connection: &Connection) -> impl Iterator<Item = String> {
        Self::ALL.into_iter().filter(|room| connection.is_in(*room)).map(|room| room.name(connection))
    }
}

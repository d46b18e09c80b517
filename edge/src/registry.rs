//! Who is connected here: by client, by user and by room.
//!
//! Split into partitions by user, so that a large audience is served by several threads and a push to one person
//! touches one lock. Invariant: a connection is in exactly one partition, under all of its names or under none.

mod listing;

use std::{
    collections::{BTreeMap, HashMap, btree_map, hash_map},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use signal_wire::{control::Counts, envelope::Target, room};
use uuid::Uuid;

pub(crate) use self::listing::Wanted;
use crate::connection::{AutomaticRoom, Connection};

/// A client holds at most this many rooms, the automatic ones among them.
pub(crate) const MAX_ROOMS: usize = 256;
const AUTOMATIC_ROOMS: usize = 4;

#[derive(Debug)]
pub(crate) struct Registry {
    partitions: Box<[Mutex<Partition>]>,
    hasher: RandomState,
    names: Mutex<RoomNames>,
    /// Open sockets, authenticated or not.
    sockets: AtomicUsize,
}

/// Of clients, in the order in which they are listed.
type ById = BTreeMap<Uuid, Arc<Connection>>;

/// In how many partitions each room has members. Locked while a partition is, never the other way round.
type RoomNames = HashMap<Arc<str>, usize>;

#[derive(Debug, Default)]
struct Partition {
    clients: ById,
    /// Each user's connections by id. A list, since nearly everybody has one or two.
    users: HashMap<Box<str>, Vec<Arc<Connection>>>,
    /// Rooms that clients asked for; the automatic ones follow from `clients` and `users`.
    rooms: HashMap<Arc<str>, ById>,
    joined: HashMap<Uuid, Vec<Arc<str>>>,
}

/// A socket that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenSocket<'a>(&'a AtomicUsize);

impl Drop for OpenSocket<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which of the partitions a target can have clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    One(usize),
    All,
}

impl Registry {
    pub(crate) fn new(partitions: usize) -> Self {
        let partitions = (0..partitions.max(1)).map(|_| Mutex::default()).collect();
        Self { partitions, hasher: RandomState::new(), names: Mutex::default(), sockets: AtomicUsize::new(0) }
    }

    pub(crate) fn open_socket(&self) -> OpenSocket<'_> {
        self.sockets.fetch_add(1, Ordering::Relaxed);
        OpenSocket(&self.sockets)
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// From here on the client can be pushed to.
    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        let user = connection.identity.user.text();
        let mut partition = self.partition(user).lock();
        partition.clients.insert(connection.identity.id, Arc::clone(connection));
        match partition.users.get_mut(user) {
            Some(connections) => {
                let at = connections.partition_point(|other| other.identity.id < connection.identity.id);
                connections.insert(at, Arc::clone(connection));
            }
            None => {
                partition.users.insert(user.into(), vec![Arc::clone(connection)]);
            }
        }
    }

    /// Removes exactly this connection, and says which rooms it had joined. `None` if it was not here.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) -> Option<Vec<Arc<str>>> {
        let (id, user) = (connection.identity.id, connection.identity.user.text());
        let mut partition = self.partition(user).lock();
        match partition.clients.entry(id) {
            btree_map::Entry::Occupied(entry) if Arc::ptr_eq(entry.get(), connection) => entry.remove(),
            _ => return None,
        };
        if let Some(connections) = partition.users.get_mut(user) {
            if let Ok(at) = connections.binary_search_by_key(&id, |other| other.identity.id) {
                connections.remove(at);
            }
            if connections.is_empty() {
                partition.users.remove(user);
            }
        }
        let joined = partition.joined.remove(&id).unwrap_or_default();
        for room in &joined {
            partition.leave_room(room, id, &self.names);
        }
        Some(joined)
    }

    /// Puts a client into a room; `false` if it is in there already, may not hold more, or is gone.
    pub(crate) fn join(&self, connection: &Arc<Connection>, room: &str) -> Joined {
        let id = connection.identity.id;
        let mut partition = self.partition(connection.identity.user.text()).lock();
        if !partition.clients.contains_key(&id) {
            return Joined::Gone;
        }
        let partition = &mut *partition;
        let joined = partition.joined.entry(id).or_default();
        if joined.iter().any(|other| &**other == room) {
            return Joined::Already;
        }
        if joined.len() + AUTOMATIC_ROOMS >= MAX_ROOMS {
            return Joined::TooMany;
        }
        let room: Arc<str> = match partition.rooms.get_key_value(room) {
            Some((name, _)) => Arc::clone(name),
            None => named(&mut self.names.lock(), room),
        };
        joined.push(Arc::clone(&room));
        partition.rooms.entry(room).or_default().insert(id, Arc::clone(connection));
        Joined::New
    }

    /// Takes a client out of a room that it joined; `false` if it had not.
    pub(crate) fn leave(&self, connection: &Arc<Connection>, room: &str) -> bool {
        let id = connection.identity.id;
        let mut partition = self.partition(connection.identity.user.text()).lock();
        let Some(joined) = partition.joined.get_mut(&id) else { return false };
        let Some(at) = joined.iter().position(|other| &**other == room) else { return false };
        joined.swap_remove(at);
        if joined.is_empty() {
            partition.joined.remove(&id);
        }
        partition.leave_room(room, id, &self.names);
        true
    }

    pub(crate) fn reach(&self, target: Target<'_>) -> Reach {
        match target {
            Target::User(user) => Reach::One(self.index(user)),
            Target::Room(room) => match room::recipient_user(room) {
                Some(user) => Reach::One(self.index(user)),
                None => Reach::All,
            },
            Target::Broadcast | Target::Client(_) => Reach::All,
        }
    }

    /// Hands every connection of one partition that `target` means to `each`.
    pub(crate) fn audience(&self, partition: usize, target: Target<'_>, mut each: impl FnMut(&Arc<Connection>)) {
        let partition = self.partitions[partition].lock();
        match target {
            Target::Broadcast => partition.clients.values().for_each(each),
            Target::Client(id) => partition.client(id).into_iter().for_each(each),
            Target::User(user) => partition.user(user).iter().for_each(each),
            Target::Room(room) => {
                let mut automatic = |connection: &Arc<Connection>, room| {
                    if connection.is_in(room) {
                        each(connection);
                    }
                };
                match room {
                    room::DEFAULT => partition.clients.values().for_each(|c| automatic(c, AutomaticRoom::Default)),
                    room::NOTIFICATION => {
                        partition.clients.values().for_each(|c| automatic(c, AutomaticRoom::Notification));
                    }
                    _ => match room::recipient_user(room) {
                        Some(user) => partition.user(user).iter().for_each(|c| automatic(c, AutomaticRoom::Recipient)),
                        None => partition.client(room).into_iter().for_each(|c| automatic(c, AutomaticRoom::Own)),
                    },
                }
                if let Some(members) = partition.rooms.get(room) {
                    members.values().for_each(each);
                }
            }
        }
    }

    /// Everybody, one partition after the other, without a lock held while `each` runs.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Connection>)) {
        for partition in &self.partitions {
            let connections: Vec<_> = partition.lock().clients.values().cloned().collect();
            connections.iter().for_each(&mut each);
        }
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Connection>> {
        self.partitions.iter().find_map(|partition| partition.lock().clients.get(&id).cloned())
    }

    pub(crate) fn len(&self) -> usize {
        self.partitions.iter().map(|partition| partition.lock().clients.len()).sum()
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            connections: self.sockets.load(Ordering::Relaxed) as u64,
            rooms: self.names.lock().len() as u64,
            ..Counts::default()
        };
        for partition in &self.partitions {
            let partition = partition.lock();
            counts.authenticated += partition.clients.len() as u64;
            counts.users += partition.users.len() as u64;
        }
        counts
    }

    fn partition(&self, user: &str) -> &Mutex<Partition> {
        &self.partitions[self.index(user)]
    }

    fn index(&self, user: &str) -> usize {
        (self.hasher.hash_one(user) % self.partitions.len() as u64) as usize
    }
}

/// A room that has its first member in one more partition; all of them share its name.
fn named(names: &mut RoomNames, room: &str) -> Arc<str> {
    let name = names.get_key_value(room).map_or_else(|| room.into(), |(name, _)| Arc::clone(name));
    *names.entry(Arc::clone(&name)).or_default() += 1;
    name
}

/// What became of a wish to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    New,
    Already,
    TooMany,
    Gone,
}

impl Partition {
    fn client(&self, id: &str) -> Option<&Arc<Connection>> {
        // Uuid reads other spellings too; a channel's name is compared to the letter.
        let id = Uuid::try_parse(id).ok().filter(|uuid| uuid.to_string() == id)?;
        self.clients.get(&id)
    }

    fn user(&self, user: &str) -> &[Arc<Connection>] {
        self.users.get(user).map_or(&[], Vec::as_slice)
    }

    fn leave_room(&mut self, room: &str, id: Uuid, names: &Mutex<RoomNames>) {
        let Some(members) = self.rooms.get_mut(room) else { return };
        members.remove(&id);
        if !members.is_empty() {
            return;
        }
        let Some((name, _)) = self.rooms.remove_entry(room) else { return };
        if let hash_map::Entry::Occupied(mut partitions) = names.lock().entry(name) {
            *partitions.get_mut() -= 1;
            if *partitions.get() == 0 {
                partitions.remove();
            }
        }
    }
}

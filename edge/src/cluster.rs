//! All edges as one: who there is, what the others are asked, what they are answered.
//!
//! A message on `signal:control` is heard on the backplane's thread ([`ears`]), which only sorts; `inbox` reads it and
//! keeps `membership`; `answer` works off the requests of others, `ask` makes one's own. `announce` says that this edge
//! is there and `canary` finds out whether it hears at all.

mod announce;
mod answer;
mod ask;
mod canary;
mod ears;
mod inbox;
mod membership;
mod merge;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use signal_bus::{Bus, Channels, Publication};
use signal_service::{health::Component, shutdown::Shutdown};
use signal_wire::{
    control::{self, Counts},
    envelope::{Envelope, Target},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::{
    answer::MAX_LIMIT,
    ask::{Found, Listing, TooManyRequests},
    ears::Ears,
};
use self::{canary::Canary, ears::Replies, membership::Membership};
use crate::{
    bounded::{self, Full, Receiver, Sender},
    clock,
    fanout::Push,
    registry::Registry,
};

/// Messages between edges that wait to be read, and requests that wait to be worked off.
const QUEUE_ITEMS: usize = 512;
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// What operators send and this edge has not yet handed to the fan-out.
const LOCAL_BYTES: usize = 16 * 1024 * 1024;

/// The times of the conversation between edges.
#[derive(Clone, Copy, Debug)]
pub struct ClusterSettings {
    pub announce_every: Duration,
    /// How long an edge counts as there after it was heard.
    pub lease: Duration,
    /// What is not answered by then is not answered.
    pub reply_timeout: Duration,
    pub canary_every: Duration,
    /// How long nothing may be heard of the canary before the edge is not ready.
    pub blind_after: Duration,
    /// Requests to other edges at a time; more are refused.
    pub requests_in_flight: usize,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            announce_every: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            reply_timeout: Duration::from_millis(500),
            canary_every: Duration::from_secs(2),
            blind_after: Duration::from_secs(10),
            requests_in_flight: 256,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    /// This process: another one each time it starts.
    edge: Uuid,
    edge_name: Box<str>,
    /// [`clock::since_start`] when it began.
    started: Duration,
    settings: ClusterSettings,
    registry: Arc<Registry>,
    bus: Arc<dyn Bus>,
    channels: Arc<dyn Channels>,
    membership: Arc<Mutex<Membership>>,
    /// What this edge held when it last announced itself.
    own: Mutex<Counts>,
    replies: Arc<Replies>,
    in_flight: Semaphore,
    local: Sender<Push>,
    wake: Arc<Wake>,
}

/// What makes an edge announce itself before its time.
#[derive(Debug, Default)]
struct Wake {
    /// Somebody said hello.
    answer: Notify,
    /// The backplane is back.
    hello: Notify,
}

/// The cluster before it has a backplane.
#[derive(Debug)]
pub(crate) struct Unconnected {
    edge: Uuid,
    settings: ClusterSettings,
    membership: Arc<Mutex<Membership>>,
    replies: Arc<Replies>,
    wake: Arc<Wake>,
    local: Sender<Push>,
    inbox: Receiver<bytes::Bytes>,
    canary: Arc<Canary>,
}

/// This edge and all of them together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) edge: Uuid,
    /// In Unix milliseconds.
    pub(crate) started_at: i64,
    pub(crate) uptime: Duration,
    pub(crate) own: Counts,
    pub(crate) all: Counts,
    pub(crate) edges: usize,
    /// Whether every edge that there is can be known.
    pub(crate) complete: bool,
}

/// Makes what the backplane's thread needs, and what becomes a cluster with it.
pub(crate) fn prepare(edge: Uuid, settings: ClusterSettings, health: Component) -> (Unconnected, Ears) {
    let membership = Arc::new(Mutex::new(Membership::new(settings.announce_every, settings.lease)));
    let (replies, wake) = (Arc::<Replies>::default(), Arc::<Wake>::default());
    let canary = Arc::new(Canary::new(edge, settings.blind_after, health, std::time::Instant::now()));
    let (to_inbox, inbox) = bounded::queue(QUEUE_ITEMS, QUEUE_BYTES);
    let (local, pushes) = bounded::queue(QUEUE_ITEMS, LOCAL_BYTES);
    let ears = Ears::new(
        edge,
        to_inbox,
        pushes,
        Arc::clone(&replies),
        Arc::clone(&membership),
        Arc::clone(&canary),
        Arc::clone(&wake),
    );
    (Unconnected { edge, settings, membership, replies, wake, local, inbox, canary }, ears)
}

impl Unconnected {
    /// Joins the others. Leaves them, and lets go of the backplane, once `shutdown` has begun and nobody is connected
    /// here any more; a drain waits for that.
    pub(crate) fn connect(
        self,
        registry: Arc<Registry>,
        bus: Arc<dyn Bus>,
        channels: Arc<dyn Channels>,
        shutdown: &Shutdown,
        backplane: CancellationToken,
    ) -> Arc<Cluster> {
        let cluster = Arc::new(Cluster {
            edge: self.edge,
            edge_name: self.edge.to_string().into(),
            started: clock::since_start(),
            settings: self.settings,
            registry,
            bus: Arc::clone(&bus),
            channels: Arc::clone(&channels),
            membership: self.membership,
            own: Mutex::default(),
            replies: self.replies,
            in_flight: Semaphore::new(self.settings.requests_in_flight),
            local: self.local,
            wake: self.wake,
        });
        let (to_work, work) = bounded::queue(QUEUE_ITEMS, QUEUE_BYTES);
        until(&backplane, inbox::read(Arc::clone(&cluster), self.inbox, to_work));
        until(&backplane, answer::work_off(Arc::clone(&cluster), work));
        until(&backplane, canary::sing(self.canary, bus, channels, self.settings.canary_every));
        let announcing = announce::announce(Arc::clone(&cluster), shutdown.token(), backplane.drop_guard());
        shutdown.tasks().spawn(announcing);
        cluster
    }
}

fn until(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(stop.clone().run_until_cancelled_owned(work));
}

impl Cluster {
    /// What `GET /status` shows, from memory.
    pub(crate) fn status(&self) -> Status {
        let own = *self.own.lock();
        let membership = self.membership.lock();
        let others = membership.counts();
        let all = Counts {
            connections: own.connections.saturating_add(others.connections),
            authenticated: own.authenticated.saturating_add(others.authenticated),
            users: own.users.saturating_add(others.users),
            rooms: own.rooms.saturating_add(others.rooms),
        };
        let complete = membership.expected(Instant::now()).settled;
        let uptime = clock::since_start().saturating_sub(self.started);
        let started_at = clock::unix_millis_at(self.started);
        Status { edge: self.edge, started_at, uptime, own, all, edges: membership.len() + 1, complete }
    }

    /// Sends to everybody, or to a room: to those who are here, whatever becomes of the backplane, and to the others'.
    /// Returns whether the backplane took it.
    ///
    /// # Errors
    /// If so much waits here already that nobody was sent anything.
    pub(crate) async fn say(
        &self,
        target: Target<'_>,
        envelope: &Envelope<'_>,
        encoded: Vec<u8>,
    ) -> Result<bool, Full> {
        self.push(Push::new(target, envelope))?;
        Ok(self.publish(vec![Publication { channel: target.channel(), payload: encoded.into() }]).await)
    }

    /// The name with which this edge's own envelopes come back to it.
    pub(crate) fn server_id(&self) -> &str {
        &self.edge_name
    }

    /// Everything that is said to this edge's clients takes the same way, which is what keeps it in order.
    fn push(&self, push: Push) -> Result<(), Full> {
        let bytes = push.bytes();
        self.local.offer(push, bytes)
    }

    /// Whether the backplane took it in time.
    async fn publish(&self, batch: Vec<Publication>) -> bool {
        matches!(timeout(self.settings.reply_timeout, self.bus.publish(&batch)).await, Ok(Ok(())))
    }

    async fn publish_control(&self, message: &control::Control) -> bool {
        let publication = Publication { channel: control::CHANNEL.to_owned(), payload: message.encode().into() };
        self.publish(vec![publication]).await
    }
}

//! From one message to the clients that it is for.
//!
//! Each partition of the registry has a lane, which sends one batch at a time: that is what keeps a client's messages
//! in order. A small audience is served on the spot; a large one by a task of its lane, and whatever arrives meanwhile
//! waits and then leaves together, one write for each client.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use signal_service::telemetry::traces;
use signal_wire::{
    envelope::{Envelope, Target},
    message::{self, event},
};
use tokio::runtime::Handle;
use tracing::Span;
use uuid::Uuid;

use crate::{
    connection::Connection,
    metrics,
    registry::{Reach, Registry},
};

/// Audiences up to this are served where the message arrived; a task costs more than the wait.
const ON_THE_SPOT: usize = 64;
/// A lane's task lets others run after so many clients, or so many bytes to seal: what a thread does without a pause must
/// not grow with the messages.
const CLIENTS_PER_TURN: usize = 32;
const TURN_BYTES: usize = 256 * 1024;
/// A plan takes no further message once it has so many entries: what a batch costs in memory does not depend on how many
/// messages wait for how many clients.
const PLAN_ENTRIES: usize = 64 * 1024;
/// Nor once its messages have so many bytes: one client's share of a plan is sealed without a pause.
const PLAN_BYTES: usize = 1024 * 1024;
/// What a message costs in a lane beside its text.
const PUSH_BYTES: usize = 256;
/// What a lane that does not keep up may hold; past it messages are dropped and its clients told to read again.
const LANE_BYTES: usize = 32 * 1024 * 1024;

/// A message for everybody that a target means, serialised once.
#[derive(Debug)]
pub(crate) struct Push {
    channel: Box<str>,
    plaintext: Bytes,
    /// Sorted: every client of the audience is looked up in it.
    exclude: Box<[Uuid]>,
    /// From the backplane to the last socket, for a message that somebody traces; else none.
    trace: Span,
}

impl Push {
    /// What an envelope asks for.
    pub(crate) fn new(target: Target<'_>, envelope: &Envelope<'_>) -> Self {
        let exclude = match target {
            Target::Broadcast | Target::Room(_) => envelope.exclude.as_deref().unwrap_or_default(),
            Target::Client(_) | Target::User(_) => &[],
        };
        // An id that is no UUID is nobody's.
        let mut exclude: Box<[Uuid]> = exclude.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
        exclude.sort_unstable();
        Self {
            channel: target.channel().into(),
            plaintext: message::compose(&envelope.event, envelope.data).into(),
            exclude,
            trace: trace(target, envelope.traceparent.as_deref()),
        }
    }

    /// Tells everybody that pushes may have been missed.
    pub(crate) fn resync(reason: &'static str) -> Self {
        let data = serde_json::json!({ "reason": reason });
        Self {
            channel: Target::Broadcast.channel().into(),
            plaintext: message::compose_value(event::RESYNC, &data).into(),
            exclude: Box::default(),
            trace: Span::none(),
        }
    }

    /// What it takes while it waits.
    pub(crate) fn bytes(&self) -> usize {
        self.plaintext.len() + size_of_val(&*self.exclude) + PUSH_BYTES
    }

    fn target(&self) -> Target<'_> {
        Target::of_channel(&self.channel).expect("the channel was made of a target")
    }
}

/// Only what began elsewhere is traced: a trace of each message's own would cost more than the message.
fn trace(target: Target<'_>, traceparent: Option<&str>) -> Span {
    if traceparent.is_none() {
        return Span::none();
    }
    let span = tracing::debug_span!("push", "otel.kind" = "consumer", target = target.kind());
    traces::set_parent(&span, traceparent);
    span
}

/// While they live, the spans of writing the traced messages of a batch to the clients of one lane.
fn writing(plan: &Plan, batch: &[Arc<Push>]) -> Vec<Span> {
    let traced = batch.iter().enumerate().filter(|(_, push)| !push.trace.is_none());
    let clients = |number| plan.iter().filter(|(_, planned)| *planned == number).count();
    traced.map(|(number, push)| tracing::debug_span!(parent: &push.trace, "write", clients = clients(number))).collect()
}

#[derive(Debug)]
pub(crate) struct Fanout {
    registry: Arc<Registry>,
    lanes: Box<[Lane]>,
    /// Where lanes run; messages arrive on a thread of their own.
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Lane {
    state: Mutex<LaneState>,
}

#[derive(Debug, Default)]
struct LaneState {
    /// Somebody is sending; whoever comes now queues.
    busy: bool,
    queue: Vec<Arc<Push>>,
    bytes: usize,
    lagged: bool,
}

impl Fanout {
    pub(crate) fn new(registry: Arc<Registry>, runtime: Handle) -> Arc<Self> {
        let lanes = (0..registry.partitions()).map(|_| Lane::default()).collect();
        Arc::new(Self { registry, lanes, runtime })
    }

    /// Sends messages in this order. For one caller at a time: the order of two callers' messages would be anybody's.
    pub(crate) fn deliver(self: &Arc<Self>, pushes: Vec<Push>) {
        let pushes: Vec<Arc<Push>> = pushes.into_iter().map(Arc::new).collect();
        let reach: Vec<Reach> = pushes.iter().map(|push| self.registry.reach(push.target())).collect();
        for index in 0..self.lanes.len() {
            let concerned = pushes.iter().zip(&reach);
            let batch: Vec<_> = concerned
                .filter(|(_, reach)| **reach == Reach::All || **reach == Reach::One(index))
                .map(|(push, _)| Arc::clone(push))
                .collect();
            if !batch.is_empty() && self.lanes[index].take_turn(&batch) {
                self.start(index, &batch);
            }
        }
    }

    fn start(self: &Arc<Self>, index: usize, batch: &[Arc<Push>]) {
        let (plan, planned) = self.plan(index, batch);
        let bytes = || plan.iter().map(|(_, number)| batch[*number].plaintext.len()).sum::<usize>();
        if planned == batch.len() && plan.len() <= ON_THE_SPOT && bytes() <= TURN_BYTES {
            metrics::messages_out(plan.len());
            let _writing = writing(&plan, batch);
            by_client(&plan).for_each(|messages| send(messages, batch));
            if let Some(next) = self.lanes[index].finish_turn() {
                self.runtime.spawn(Arc::clone(self).run(index, next));
            }
        } else {
            self.runtime.spawn(Arc::clone(self).run(index, batch.to_vec()));
        }
    }

    /// Sends batch after batch until the lane is empty.
    async fn run(self: Arc<Self>, index: usize, mut batch: Vec<Arc<Push>>) {
        loop {
            let mut rest = &batch[..];
            while !rest.is_empty() {
                let (plan, planned) = self.plan(index, rest);
                metrics::messages_out(plan.len());
                let _writing = writing(&plan, &rest[..planned]);
                let (mut clients, mut bytes) = (0, 0);
                for messages in by_client(&plan) {
                    send(messages, rest);
                    clients += 1;
                    bytes += messages.iter().map(|(_, number)| rest[*number].plaintext.len()).sum::<usize>();
                    if clients == CLIENTS_PER_TURN || bytes >= TURN_BYTES {
                        (clients, bytes) = (0, 0);
                        tokio::task::yield_now().await;
                    }
                }
                tokio::task::yield_now().await;
                rest = &rest[planned..];
            }
            batch = match self.lanes[index].finish_turn() {
                Some(next) => next,
                None => return,
            };
        }
    }

    /// Who gets which messages, each client's together and in order; and how many messages of the batch that covers,
    /// at least one.
    fn plan(&self, index: usize, batch: &[Arc<Push>]) -> (Plan, usize) {
        let mut plan = Plan::new();
        let (mut planned, mut bytes) = (0, 0);
        while planned < batch.len() && plan.len() < PLAN_ENTRIES && bytes < PLAN_BYTES {
            let push = &batch[planned];
            bytes += push.plaintext.len();
            self.registry.audience(index, push.target(), |connection| {
                if push.exclude.binary_search(&connection.identity.id).is_err() {
                    plan.push((Arc::clone(connection), planned));
                }
            });
            planned += 1;
        }
        if planned > 1 {
            plan.sort_unstable_by_key(|(connection, number)| (Arc::as_ptr(connection).addr(), *number));
        }
        (plan, planned)
    }
}

type Plan = Vec<(Arc<Connection>, usize)>;

fn by_client(plan: &Plan) -> impl Iterator<Item = &[(Arc<Connection>, usize)]> {
    plan.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(one, other))
}

fn send(messages: &[(Arc<Connection>, usize)], batch: &[Arc<Push>]) {
    let [(connection, _), ..] = messages else { return };
    connection.push(messages.iter().map(|(_, number)| &batch[*number].plaintext[..]));
}

impl Lane {
    /// `true` if the caller is to send the batch now; else it is queued.
    fn take_turn(&self, batch: &[Arc<Push>]) -> bool {
        let mut state = self.state.lock();
        if !state.busy {
            state.busy = true;
            return true;
        }
        let before = state.bytes;
        for push in batch {
            let bytes = push.bytes();
            if state.bytes + bytes > LANE_BYTES {
                state.lagged = true;
                metrics::dropped(metrics::FANOUT_LAG);
            } else {
                state.bytes += bytes;
                state.queue.push(Arc::clone(push));
            }
        }
        metrics::fanout_waiting((state.bytes - before) as f64);
        false
    }

    /// What came meanwhile and is to be sent next; with `None` the turn is over.
    fn finish_turn(&self) -> Option<Vec<Arc<Push>>> {
        let mut state = self.state.lock();
        let mut next = std::mem::take(&mut state.queue);
        metrics::fanout_waiting(-(std::mem::take(&mut state.bytes) as f64));
        if std::mem::take(&mut state.lagged) {
            next.push(Arc::new(Push::resync("overload")));
        }
        state.busy = !next.is_empty();
        state.busy.then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tests::stalled;

    fn push(bytes: usize) -> Arc<Push> {
        Arc::new(Push {
            channel: "ws:broadcast".into(),
            plaintext: vec![b'x'; bytes].into(),
            exclude: Box::default(),
            trace: Span::none(),
        })
    }

    #[test]
    fn what_comes_while_a_lane_is_busy_leaves_together_and_in_order() {
        let lane = Lane::default();
        assert!(lane.take_turn(&[push(1)]));
        assert!(!lane.take_turn(&[push(2), push(3)]));
        assert!(!lane.take_turn(&[push(4)]));
        let next: Vec<_> = lane.finish_turn().unwrap().iter().map(|push| push.plaintext.len()).collect();
        assert_eq!(next, [2, 3, 4]);
        assert!(!lane.take_turn(&[push(5)]), "the batch that was handed out is still being sent");
        assert_eq!(lane.finish_turn().unwrap().len(), 1);
        assert!(lane.finish_turn().is_none());
        assert!(lane.take_turn(&[push(6)]));
    }

    #[tokio::test]
    async fn a_plan_of_large_messages_is_cut_so_that_others_get_their_turn() {
        let registry = Arc::new(Registry::new(1));
        let (connection, _client) = stalled(1024).await;
        registry.insert(&connection);
        let fanout = Fanout::new(registry, Handle::current());
        let planned = |bytes: usize, count: usize| {
            let batch: Vec<_> = (0..count).map(|_| push(bytes)).collect();
            let (plan, planned) = fanout.plan(0, &batch);
            assert_eq!(plan.len(), planned, "one client");
            planned
        };
        assert_eq!(planned(100, 256), 256, "what is small leaves together");
        assert_eq!(planned(PLAN_BYTES / 2, 256), 2);
        assert_eq!(planned(2 * PLAN_BYTES, 256), 1, "one at least");
    }

    #[test]
    fn a_lane_that_does_not_keep_up_drops_and_tells_its_clients() {
        let lane = Lane::default();
        assert!(lane.take_turn(&[push(1)]));
        for _ in 0..4 {
            lane.take_turn(&[push(LANE_BYTES / 3 - PUSH_BYTES)]);
        }
        let next = lane.finish_turn().unwrap();
        assert_eq!(next.len(), 4, "three fit, the fourth is dropped, and a resync takes its place");
        assert!(next[3].plaintext.starts_with(b"{\"event\":\"resync\""));
        assert!(lane.finish_turn().is_none(), "it is said once");
    }
}

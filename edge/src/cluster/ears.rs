//! What the backplane's thread does with what edges say to each other: sorts it, and no more.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use signal_wire::control::Channel;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Wake, canary::Canary, membership::Membership};
use crate::{
    bounded::{Receiver, Sender},
    fanout::Push,
    metrics,
};

/// The requests that wait for answers, by id.
pub(super) type Replies = Mutex<HashMap<Box<str>, mpsc::Sender<Bytes>>>;

#[derive(Debug)]
pub(crate) struct Ears {
    edge: String,
    inbox: Sender<Bytes>,
    /// What operators send from here.
    pushes: Receiver<Push>,
    replies: Arc<Replies>,
    membership: Arc<Mutex<Membership>>,
    canary: Arc<Canary>,
    wake: Arc<Wake>,
}

impl Ears {
    pub(super) fn new(
        edge: Uuid,
        inbox: Sender<Bytes>,
        pushes: Receiver<Push>,
        replies: Arc<Replies>,
        membership: Arc<Mutex<Membership>>,
        canary: Arc<Canary>,
        wake: Arc<Wake>,
    ) -> Self {
        Self { edge: edge.to_string(), inbox, pushes, replies, membership, canary, wake }
    }

    /// `serverId` of this edge's own envelopes.
    pub(crate) fn edge(&self) -> &str {
        &self.edge
    }

    /// Waits for what operators send from here. Dropped while it waits, it has taken nothing.
    pub(crate) async fn local_pushes(&mut self, pushes: &mut Vec<Push>, max: usize) {
        if self.pushes.recv_many(pushes, max).await == 0 {
            // Nobody is left who could send anything.
            std::future::pending::<()>().await;
        }
    }

    /// `true` if it tells that messages were missed.
    pub(crate) fn hear(&self, channel: Channel<'_>, payload: &Bytes) -> bool {
        match channel {
            Channel::Canary(edge) => return edge == self.edge && self.canary.heard(payload, Instant::now()),
            Channel::Control => {
                if self.inbox.offer(payload.clone(), payload.len()).is_err() {
                    metrics::control_refused("overflow");
                }
            }
            Channel::Reply(request) => {
                let asker = self.replies.lock().get(request).cloned();
                match asker.map(|asker| asker.try_send(payload.clone())) {
                    Some(Ok(())) => {}
                    Some(Err(_)) => metrics::control_refused("overflow"),
                    // Nobody waits for it any more.
                    None => metrics::control_refused("late"),
                }
            }
        }
        false
    }

    /// The backplane is gone, or `still` is and for another reason. Whether that makes the edge unready is the canary's to
    /// say.
    pub(crate) fn lost(&self, reason: &str, still: bool) {
        if still {
            tracing::warn!(reason, "the backplane is still lost");
        } else {
            tracing::warn!(reason, "the backplane is lost");
            metrics::bus_lost();
            self.membership.lock().lost();
        }
        self.canary.lost(reason);
    }

    pub(crate) fn restored(&self) {
        tracing::info!("the backplane is there");
        self.canary.restored(Instant::now());
        self.wake.hello.notify_one();
    }
}

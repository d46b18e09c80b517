//! Reads what edges say on `signal:control`.

use std::sync::Arc;

use bytes::Bytes;
use signal_wire::control::{Announcement, Control, Request};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Cluster, answer::Work};
use crate::{
    bounded::{Receiver, Sender},
    metrics,
};

const BATCH: usize = 64;

/// Runs until it is dropped.
pub(super) async fn read(cluster: Arc<Cluster>, mut inbox: Receiver<Bytes>, work: Sender<Work>) {
    let mut messages = Vec::new();
    while inbox.recv_many(&mut messages, BATCH).await > 0 {
        for payload in messages.drain(..) {
            let read = Control::decode(&payload).map_err(signal_wire::control::Refusal::label);
            if let Err(reason) = read.and_then(|message| cluster.heed(message, payload.len(), &work)) {
                metrics::control_refused(reason);
                tracing::debug!(reason, "dropped a message between edges");
            }
        }
        metrics::peers(cluster.membership.lock().len());
    }
}

impl Cluster {
    /// The error is the label under which the message is counted.
    fn heed(&self, message: Control, bytes: usize, work: &Sender<Work>) -> Result<(), &'static str> {
        match message {
            Control::Hello(announcement) => {
                let from = self.heed_announcement(&announcement)?;
                if from != self.edge {
                    self.wake.answer.notify_one();
                }
            }
            Control::Announce(announcement) => {
                self.heed_announcement(&announcement)?;
            }
            Control::Goodbye(edge) => self.membership.lock().left(id(&edge)?),
            Control::Request(request) => {
                if id(&request.edge)? != self.edge {
                    return offer(request, bytes, work);
                }
            }
            Control::Unknown => {}
        }
        Ok(())
    }

    fn heed_announcement(&self, announcement: &Announcement) -> Result<Uuid, &'static str> {
        let from = id(&announcement.edge)?;
        let (now, mut membership) = (Instant::now(), self.membership.lock());
        if from == self.edge {
            membership.echoed(now);
        } else {
            membership.heard(from, announcement, now).map_err(|_| "too_many_edges")?;
        }
        Ok(from)
    }
}

fn offer(request: Request, bytes: usize, work: &Sender<Work>) -> Result<(), &'static str> {
    // The id becomes part of a channel's name.
    id(&request.id)?;
    work.offer(Work::new(request), bytes).map_err(|_| "overflow")
}

fn id(text: &str) -> Result<Uuid, &'static str> {
    Uuid::try_parse(text).map_err(|_| "malformed")
}

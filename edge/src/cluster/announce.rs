//! Says that this edge is there: hello when it begins to hear, then every second, goodbye when its last client is gone.

use std::{sync::Arc, time::Duration};

use signal_wire::control::{Announcement, CHANNEL, Control};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Cluster;
use crate::clock;

/// How often a stopping edge looks whether its last client is gone.
const STOPPING: Duration = Duration::from_millis(20);

/// Runs until the stop has begun and nobody is connected any more. The backplane is let go of with it, however it ends.
pub(super) async fn announce(cluster: Arc<Cluster>, stop: CancellationToken, backplane: DropGuard) {
    let every = cluster.settings.announce_every;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut subscribed = std::pin::pin!(cluster.channels.acquire(vec![CHANNEL.to_owned()]));
    let mut gone = std::pin::pin!(cluster.emptied(stop));
    let mut joined = false;
    // However many say hello together: they are answered together.
    let mut next_answer = Instant::now();
    loop {
        let answer_due = async {
            sleep_until(next_answer).await;
            cluster.wake.answer.notified().await;
        };
        let hello = tokio::select! {
            biased;
            () = &mut gone => break,
            _ = &mut subscribed, if !joined => {
                joined = true;
                true
            }
            () = cluster.wake.hello.notified(), if joined => true,
            _ = ticks.tick() => false,
            () = answer_due, if joined => {
                next_answer = Instant::now() + every / 10;
                false
            }
        };
        let announcement = cluster.announcement();
        if joined {
            let message = if hello { Control::Hello(announcement) } else { Control::Announce(announcement) };
            // Whether it is heard is known from whether it comes back.
            cluster.publish_control(&message).await;
        }
    }
    // Said by who announces, so that no announcement comes behind it and takes it back.
    cluster.publish_control(&Control::Goodbye(cluster.edge_name.to_string())).await;
    drop(backplane);
}

impl Cluster {
    fn announcement(&self) -> Announcement {
        let counts = self.registry.counts();
        *self.own.lock() = counts;
        Announcement {
            edge: self.edge_name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: clock::unix_millis_at(self.started),
            counts,
        }
    }

    /// Resolves when the edge stops and its last client has gone.
    async fn emptied(&self, stop: CancellationToken) {
        stop.cancelled().await;
        while self.registry.len() > 0 {
            sleep(STOPPING).await;
        }
    }
}

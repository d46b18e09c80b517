//! Reads the backplane and hands what it says to the fan-out, in order; watches whether it is there.

use std::{
    io,
    sync::{Arc, mpsc},
};

use signal_bus::{Bus, Channels, Event, Events, Publication};
use signal_service::health::Component;
use signal_wire::envelope::Envelope;
use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use crate::{
    fanout::{Fanout, Push},
    metrics,
};

/// Messages taken together: what is ready together leaves together.
const BATCH: usize = 256;

/// Subscribes, and watches until `stop`, on a thread of its own: between a message on the backplane's socket and the
/// writes to a few clients there is then no other thread to wake.
pub(crate) fn start(
    bus: Arc<dyn Bus>,
    fanout: Arc<Fanout>,
    health: Component,
    edge_id: String,
    stop: CancellationToken,
) -> io::Result<Arc<dyn Channels>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("backplane".to_owned()).spawn(move || {
        runtime.block_on(async {
            let (channels, events) = bus.subscribe();
            // Whoever started the thread waits for this.
            let _ = sender.send(channels);
            // Whoever reads from Redis, on this thread too, is let in only once all that was read is handled: else a
            // flood would pile up between the two, where nothing bounds it.
            let watching = unconstrained(watch(events, &fanout, &health, &edge_id));
            stop.run_until_cancelled(watching).await;
        });
    })?;
    receiver.recv().map_err(io::Error::other)
}

/// Runs until the subscription closes.
async fn watch(mut events: Box<dyn Events>, fanout: &Arc<Fanout>, health: &Component, edge_id: &str) {
    let mut batch = Vec::new();
    let mut was_lost = false;
    while events.next(&mut batch, BATCH).await {
        let mut pushes = Vec::with_capacity(batch.len());
        for event in batch.drain(..) {
            match event {
                Event::Message(publication) => pushes.extend(read(&publication, edge_id)),
                Event::Lost { reason } => {
                    was_lost = true;
                    health.down(reason);
                }
                Event::Restored => {
                    health.up();
                    if std::mem::take(&mut was_lost) {
                        pushes.push(Push::resync("backplane"));
                        metrics::resynced();
                    }
                }
            }
        }
        if !pushes.is_empty() {
            fanout.deliver(pushes);
        }
    }
}

/// `None` for what is not an envelope, which is counted, and for what this edge said itself.
fn read(publication: &Publication, edge_id: &str) -> Option<Push> {
    match Envelope::decode(&publication.channel, &publication.payload) {
        Ok((_, envelope)) if envelope.server_id == edge_id => None,
        Ok((target, envelope)) => {
            metrics::bus_message();
            Some(Push::new(target, &envelope))
        }
        Err(refusal) => {
            metrics::bus_refused(refusal.label());
            tracing::debug!(reason = refusal.label(), "dropped a payload that is not an envelope");
            None
        }
    }
}

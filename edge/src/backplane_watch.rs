//! Reads the backplane and hands what it says to the fan-out, in order; what edges say to each other
//! goes to the cluster. What operators send from here is handed over here, too: the fan-out has one caller.

use std::{
    io,
    sync::{Arc, mpsc},
};

use signal_bus::{Bus, Channels, Event, Events, Publication};
use signal_wire::{control::Channel, envelope::Envelope};
use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Ears,
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
    ears: Ears,
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
            let watching = unconstrained(watch(events, &fanout, ears));
            stop.run_until_cancelled(watching).await;
        });
    })?;
    receiver.recv().map_err(io::Error::other)
}

/// Runs until the subscription closes.
async fn watch(mut events: Box<dyn Events>, fanout: &Arc<Fanout>, mut ears: Ears) {
    let mut batch = Vec::new();
    let mut was_lost = false;
    loop {
        let mut pushes = Vec::new();
        tokio::select! {
            open = events.next(&mut batch, BATCH) => {
                if !open {
                    return;
                }
                pushes.reserve(batch.len());
                for event in batch.drain(..) {
                    pushes.extend(heed(event, &ears, &mut was_lost));
                }
            }
            () = ears.local_pushes(&mut pushes, BATCH) => {}
        }
        if !pushes.is_empty() {
            fanout.deliver(pushes);
        }
    }
}

/// What clients are to hear of an event.
fn heed(event: Event, ears: &Ears, was_lost: &mut bool) -> Option<Push> {
    let resync = match event {
        Event::Message(publication) => match Channel::of(&publication.channel) {
            Some(channel) => ears.hear(channel, &publication.payload),
            None => return read(&publication, ears.edge()),
        },
        Event::Lost { reason } => {
            ears.lost(&reason, std::mem::replace(was_lost, true));
            false
        }
        Event::Restored => {
            ears.restored();
            std::mem::take(was_lost)
        }
    };
    resync.then(|| {
        metrics::resynced();
        Push::resync("backplane")
    })
}

/// `None` for what is not an envelope, which is counted, and for what this edge said itself.
fn read(publication: &Publication, edge: &str) -> Option<Push> {
    match Envelope::decode(&publication.channel, &publication.payload) {
        Ok((_, envelope)) if envelope.server_id == edge => None,
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

//! The ends of a subscription that the edge holds. What it hears of, [`super::keeper`] keeps.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    vec,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::{
    keeper::{Keeper, Request},
    link::QUEUE,
    slot::{Slot, slot},
};
use crate::{BusError, Channels, Event, Events, endpoint::Endpoint, redis::address::Address};

pub(in crate::redis) fn open(address: &Arc<Address>, seeds: &[Endpoint]) -> (Arc<dyn Channels>, Box<dyn Events>) {
    // Unbounded, because releasing must not wait. The keeper takes requests out whether Redis is there or not.
    let (requests, inbox) = mpsc::unbounded_channel();
    let (teller, heard) = mpsc::channel(QUEUE);
    let held = Arc::new(AtomicUsize::new(0));
    tokio::spawn(Keeper::new(address, seeds, inbox, teller, Arc::clone(&held)).run());
    (Arc::new(ShardedChannels { requests, held }), Box::new(ShardedEvents { heard, rest: Vec::new().into_iter() }))
}

#[derive(Debug)]
struct ShardedChannels {
    requests: mpsc::UnboundedSender<Request>,
    /// As the keeper last counted.
    held: Arc<AtomicUsize>,
}

fn by_slot(channels: Vec<String>) -> BTreeMap<Slot, Vec<String>> {
    let mut slots: BTreeMap<Slot, Vec<String>> = BTreeMap::new();
    for channel in channels {
        slots.entry(slot(&channel)).or_default().push(channel);
    }
    slots
}

#[async_trait]
impl Channels for ShardedChannels {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        let mut waiting = Vec::new();
        let slots = by_slot(channels).into_iter().map(|(slot, channels)| {
            let (waiter, confirmed) = oneshot::channel();
            waiting.push(confirmed);
            (slot, channels, waiter)
        });
        self.requests.send(Request::Acquire(slots.collect())).map_err(|_| BusError::Closed)?;
        for confirmed in waiting {
            confirmed.await.map_err(|_| BusError::Closed)?;
        }
        Ok(())
    }

    fn release(&self, channels: Vec<String>) {
        if !channels.is_empty() {
            // After the subscription has closed there is nothing to release.
            let _ = self.requests.send(Request::Release(by_slot(channels).into_iter().collect()));
        }
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

struct ShardedEvents {
    heard: mpsc::Receiver<Vec<Event>>,
    /// Of what was taken out last.
    rest: vec::IntoIter<Event>,
}

#[async_trait]
impl Events for ShardedEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        while self.rest.len() == 0 {
            match self.heard.recv().await {
                Some(heard) => self.rest = heard.into_iter(),
                None => return false,
            }
        }
        loop {
            events.extend(self.rest.by_ref().take(max.saturating_sub(events.len())));
            if events.len() >= max {
                return true;
            }
            match self.heard.try_recv() {
                Ok(heard) => self.rest = heard.into_iter(),
                Err(_) => return true,
            }
        }
    }
}

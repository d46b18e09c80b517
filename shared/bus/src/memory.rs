//! A backplane within one process: what `signal` runs on, and what tests of the edge and the worker run on.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{Bus, BusError, Channels, Event, Events, Publication};

/// How many messages a subscription may lag behind before publishing waits for it.
const CAPACITY: usize = 4096;

/// A [`Bus`] without a network. Clones are the same bus.
#[derive(Clone, Debug, Default)]
pub struct MemoryBus {
    subscriptions: Arc<Mutex<Vec<Weak<Subscription>>>>,
}

#[derive(Debug)]
struct Subscription {
    channels: Mutex<HashMap<String, usize>>,
    events: mpsc::Sender<Event>,
}

impl MemoryBus {
    pub fn new() -> Self {
        Self::default()
    }

    fn listeners(&self, channel: &str) -> Vec<Arc<Subscription>> {
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.retain(|subscription| subscription.strong_count() > 0);
        subscriptions
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|subscription| subscription.channels.lock().contains_key(channel))
            .collect()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        for publication in batch {
            for listener in self.listeners(&publication.channel) {
                // A subscription that closed meanwhile hears nothing, as it would on any backplane.
                let _ = listener.events.send(Event::Message(publication.clone())).await;
            }
        }
        Ok(())
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        let (events, receiver) = mpsc::channel(CAPACITY);
        events.try_send(Event::Restored).expect("a new queue has room");
        let subscription = Arc::new(Subscription { channels: Mutex::default(), events });
        self.subscriptions.lock().push(Arc::downgrade(&subscription));
        (subscription, Box::new(MemoryEvents(receiver)))
    }
}

#[async_trait]
impl Channels for Subscription {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        if self.events.is_closed() {
            return Err(BusError::Closed);
        }
        let mut counts = self.channels.lock();
        for channel in channels {
            *counts.entry(channel).or_default() += 1;
        }
        Ok(())
    }

    fn release(&self, channels: Vec<String>) {
        let mut counts = self.channels.lock();
        for channel in channels {
            if let Entry::Occupied(mut entry) = counts.entry(channel) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    fn held(&self) -> usize {
        self.channels.lock().len()
    }
}

struct MemoryEvents(mpsc::Receiver<Event>);

#[async_trait]
impl Events for MemoryEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        self.0.recv_many(events, max).await > 0
    }
}

//! One subscription: the ends that the edge holds. What it hears of, [`super::keeper`] keeps.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{address::Address, keeper::Keeper, subject};
use crate::{BusError, Channels, Event, Events, Mode, interest::interest};

pub(super) fn open(address: &Arc<Address>, mode: Mode) -> (Arc<dyn Channels>, Box<dyn Events>) {
    let (channels, interest) = interest(mode);
    // One batch is ready while another is worked on.
    let (events, heard) = mpsc::channel(1);
    tokio::spawn(Keeper::new(mode, interest, events, address).run(Arc::clone(address)));
    (Arc::new(NatsChannels(channels)), Box::new(NatsEvents { heard, left: VecDeque::new() }))
}

/// Those that have a subject.
#[derive(Debug)]
struct NatsChannels(Arc<dyn Channels>);

#[async_trait]
impl Channels for NatsChannels {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        if let Some(refused) = channels.iter().find_map(|channel| subject::check(channel).err()) {
            return Err(BusError::Refused(refused.to_string()));
        }
        self.0.acquire(channels).await
    }

    fn release(&self, channels: Vec<String>) {
        self.0.release(channels);
    }

    fn held(&self) -> usize {
        self.0.held()
    }
}

struct NatsEvents {
    heard: mpsc::Receiver<Vec<Event>>,
    /// What was heard together and is more than was asked for.
    left: VecDeque<Event>,
}

#[async_trait]
impl Events for NatsEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        if self.left.is_empty() {
            match self.heard.recv().await {
                Some(heard) => self.left = heard.into(),
                None => return false,
            }
        }
        let mut room = max;
        loop {
            let count = room.min(self.left.len());
            events.extend(self.left.drain(..count));
            room -= count;
            if room == 0 {
                return true;
            }
            // Less was heard together than there is room for.
            match self.heard.try_recv() {
                Ok(heard) => self.left = heard.into(),
                Err(_) => return true,
            }
        }
    }
}

//! Two backplanes as one, while a fleet moves from one to the other: both are heard, and what is said is said on the
//! first. A message is said on one of the two, and so it is heard once.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Bus, BusError, Channels, Event, Events, Publication};

#[derive(Clone, Debug)]
pub struct Tandem {
    first: Arc<dyn Bus>,
    second: Arc<dyn Bus>,
}

impl Tandem {
    /// Says everything on `first`.
    pub fn new(first: Arc<dyn Bus>, second: Arc<dyn Bus>) -> Self {
        Self { first, second }
    }
}

#[async_trait]
impl Bus for Tandem {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        self.first.publish(batch).await
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        let (first, one) = self.first.subscribe();
        let (second, other) = self.second.subscribe();
        let events = TandemEvents { first: Ear::new(one), second: Ear::new(other), standing: Standing::Begun };
        (Arc::new(TandemChannels { first, second }), Box::new(events))
    }
}

#[derive(Debug)]
struct TandemChannels {
    first: Arc<dyn Channels>,
    second: Arc<dyn Channels>,
}

#[async_trait]
impl Channels for TandemChannels {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        // Both at once, so that whoever stops waiting holds the channels on both.
        let (one, other) = tokio::join!(self.first.acquire(channels.clone()), self.second.acquire(channels));
        one.and(other)
    }

    fn release(&self, channels: Vec<String>) {
        self.first.release(channels.clone());
        self.second.release(channels);
    }

    fn held(&self) -> usize {
        self.first.held()
    }
}

/// One of the two, and whether it is there.
struct Ear {
    events: Box<dyn Events>,
    is_there: bool,
}

impl Ear {
    fn new(events: Box<dyn Events>) -> Self {
        Self { events, is_there: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Begun,
    Restored,
    Lost,
}

struct TandemEvents {
    first: Ear,
    second: Ear,
    standing: Standing,
}

#[async_trait]
impl Events for TandemEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        loop {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let max = max.saturating_sub(events.len()).max(1);
            // Either is cancel-safe, and what one has appended was heard.
            let (open, is_first) = tokio::select! {
                open = self.first.events.next(&mut one, max) => (open, true),
                open = self.second.events.next(&mut other, max) => (open, false),
            };
            if !open {
                return false;
            }
            let before = events.len();
            let heard = if is_first { one } else { other };
            events.extend(heard.into_iter().filter_map(|event| self.tell(event, is_first)));
            if events.len() > before {
                return true;
            }
        }
    }
}

impl TandemEvents {
    /// It is lost once one of the two is, which each says with its own reason, and restored once both are there.
    fn tell(&mut self, event: Event, is_first: bool) -> Option<Event> {
        let there = match event {
            Event::Message(_) => return Some(event),
            Event::Lost { .. } => false,
            Event::Restored => true,
        };
        let ear = if is_first { &mut self.first } else { &mut self.second };
        ear.is_there = there;
        let standing = if !there {
            self.standing = Standing::Lost;
            return Some(event);
        } else if self.first.is_there && self.second.is_there {
            Standing::Restored
        } else {
            return None;
        };
        (std::mem::replace(&mut self.standing, standing) != standing).then_some(event)
    }
}

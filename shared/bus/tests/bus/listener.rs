//! A subscription, read message by message.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use signal_bus::{Bus, Channels, Event, Events, Publication};
use tokio::time::timeout;

/// Far beyond what anything takes whose server is there.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// Far beyond what a failover takes, also on a machine that is busy.
pub(crate) const AT_LAST: Duration = Duration::from_secs(90);

pub(crate) struct Listener {
    pub(crate) channels: Arc<dyn Channels>,
    events: Box<dyn Events>,
    heard: VecDeque<Event>,
}

impl Listener {
    /// A subscription that has connected.
    pub(crate) async fn open(bus: &dyn Bus) -> Self {
        let mut listener = Self::begin(bus);
        assert_eq!(listener.next().await, Event::Restored);
        listener
    }

    /// One that may still have to connect.
    pub(crate) fn begin(bus: &dyn Bus) -> Self {
        let (channels, events) = bus.subscribe();
        Self { channels, events, heard: VecDeque::new() }
    }

    pub(crate) async fn acquire(&self, channels: &[&str]) {
        let names = channels.iter().map(|&channel| channel.to_owned()).collect();
        timeout(SOON, self.channels.acquire(names)).await.expect("never confirmed").unwrap();
    }

    pub(crate) fn release(&self, channels: &[&str]) {
        self.channels.release(channels.iter().map(|&channel| channel.to_owned()).collect());
    }

    pub(crate) fn held(&self) -> usize {
        self.channels.held()
    }

    pub(crate) async fn next(&mut self) -> Event {
        self.next_within(SOON).await
    }

    async fn next_within(&mut self, within: Duration) -> Event {
        if self.heard.is_empty() {
            let mut batch = Vec::new();
            assert!(timeout(within, self.events.next(&mut batch, 64)).await.expect("nothing heard"), "closed");
            assert!(!batch.is_empty() && batch.len() <= 64);
            self.heard.extend(batch);
        }
        self.heard.pop_front().unwrap()
    }

    pub(crate) async fn message(&mut self) -> (String, String) {
        match self.next().await {
            Event::Message(message) => (message.channel, String::from_utf8(message.payload.to_vec()).unwrap()),
            other => panic!("heard {other:?}"),
        }
    }

    /// Why the backplane went.
    pub(crate) async fn lost(&mut self) -> String {
        match self.next_within(AT_LAST).await {
            Event::Lost { reason } => reason,
            other => panic!("heard {other:?}"),
        }
    }

    pub(crate) async fn restored(&mut self) {
        loop {
            match self.next_within(AT_LAST).await {
                Event::Restored => return,
                // For another reason than before.
                Event::Lost { .. } => {}
                other @ Event::Message(_) => panic!("heard {other:?}"),
            }
        }
    }

    /// Dropping the hearing end.
    pub(crate) fn close(self) -> Arc<dyn Channels> {
        self.channels
    }
}

pub(crate) async fn say(bus: &dyn Bus, channel: &str, payload: &str) {
    bus.publish(&[publication(channel, payload)]).await.unwrap();
}

pub(crate) fn publication(channel: &str, payload: &str) -> Publication {
    Publication { channel: channel.to_owned(), payload: payload.to_owned().into() }
}

pub(crate) fn heard(channel: &str, payload: &str) -> (String, String) {
    (channel.to_owned(), payload.to_owned())
}

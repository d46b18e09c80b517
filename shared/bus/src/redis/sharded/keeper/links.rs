//! The links to masters, and the commands that gather for each.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use tokio::sync::mpsc;

use crate::{
    Event,
    endpoint::Endpoint,
    redis::{
        address::Address,
        node::Node,
        sharded::{
            link::{Commands, Link, LinkId, News},
            slot::Slot,
        },
    },
};

/// A link, and what it was told and has not confirmed yet.
pub(super) struct Attached {
    pub(super) id: LinkId,
    pub(super) is_up: bool,
    link: Link,
    next: Batch,
    unconfirmed: VecDeque<(u64, Vec<(Slot, u64)>)>,
}

#[derive(Default)]
pub(super) struct Batch {
    pub(super) commands: Commands,
    /// For which slots they are, each with the number that the slot counts them by.
    pub(super) parts: Vec<(Slot, u64)>,
}

impl Attached {
    /// What is sent next.
    pub(super) fn next(&mut self) -> &mut Batch {
        &mut self.next
    }

    /// What is confirmed by the confirmation of all batches up to `number`.
    pub(super) fn confirmed(&mut self, number: u64) -> Vec<(Slot, u64)> {
        let mut parts = Vec::new();
        while let Some((_, batch)) = self.unconfirmed.pop_front_if(|(batch, _)| *batch <= number) {
            parts.extend(batch);
        }
        parts
    }
}

pub(super) struct Links {
    address: Arc<Address>,
    heard: mpsc::Sender<Vec<Event>>,
    each: HashMap<Endpoint, Attached>,
    made: LinkId,
    news: mpsc::UnboundedReceiver<(LinkId, News)>,
    teller: mpsc::UnboundedSender<(LinkId, News)>,
}

impl Links {
    pub(super) fn new(address: &Arc<Address>, heard: mpsc::Sender<Vec<Event>>) -> Self {
        let (teller, news) = mpsc::unbounded_channel();
        Self { address: Arc::clone(address), heard, each: HashMap::new(), made: 0, news, teller }
    }

    /// The link to `endpoint`, which is made if there is none.
    pub(super) fn to(&mut self, endpoint: &Endpoint) -> &mut Attached {
        match self.each.entry(endpoint.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.made += 1;
                let node = Node::of(&self.address, endpoint.clone());
                let link = Link::open(self.made, node, self.teller.clone(), self.heard.clone());
                let (next, unconfirmed) = Default::default();
                entry.insert(Attached { id: self.made, is_up: false, link, next, unconfirmed })
            }
        }
    }

    pub(super) fn get(&mut self, id: LinkId) -> Option<(&Endpoint, &mut Attached)> {
        self.each.iter_mut().find(|(_, attached)| attached.id == id)
    }

    pub(super) fn remove(&mut self, endpoint: &Endpoint) {
        self.each.remove(endpoint);
    }

    pub(super) fn retain(&mut self, endpoints: &[Endpoint]) {
        self.each.retain(|endpoint, _| endpoints.contains(endpoint));
    }

    /// Sends what has gathered.
    pub(super) fn flush(&mut self) {
        for attached in self.each.values_mut().filter(|attached| !attached.next.parts.is_empty()) {
            let Batch { commands, parts } = std::mem::take(&mut attached.next);
            let number = attached.link.send(commands);
            attached.unconfirmed.push_back((number, parts));
        }
    }

    /// Of a link that may be gone already. Cancel-safe.
    pub(super) async fn news(&mut self) -> (LinkId, News) {
        self.news.recv().await.expect("a teller is kept along with it")
    }
}

//! The task that keeps a subscription's channels where their slots are.
//!
//! A slot that loses its place is a loss to whoever listens, also if one node has only handed it to another: what was
//! said in between nobody has heard.

mod links;
mod placed;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use self::{links::Links, placed::Placed};
use super::{
    link::{LinkId, News},
    map::Map,
    slot::Slot,
    survey::{Outlook, Survey},
};
use crate::{Event, endpoint::Endpoint, outage::Outage, redis::address::Address};

/// Requests taken together.
const BATCH: usize = 256;
/// Between two times that all is restored. Slots of a cluster that is being resharded move one by one, many a second,
/// and each time everybody reads everything anew.
const RESTORED_APART: Duration = Duration::from_secs(5);

pub(super) enum Request {
    /// Channels by their slots, each with who waits for them.
    Acquire(Vec<(Slot, Vec<String>, oneshot::Sender<()>)>),
    Release(Vec<(Slot, Vec<String>)>),
}

/// The reading end is gone: the subscription is closed.
struct Closed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Begun,
    Restored,
    Lost,
}

pub(super) struct Keeper {
    survey: Survey,
    outlook: watch::Receiver<Outlook>,
    map: Arc<Map>,
    is_known: bool,
    links: Links,
    /// Never removed: there are only so many slots.
    slots: HashMap<Slot, Placed>,
    held: Arc<AtomicUsize>,
    inbox: mpsc::UnboundedReceiver<Request>,
    heard: mpsc::Sender<Vec<Event>>,
    standing: Standing,
    /// Why it is lost, until that is told.
    failure: Option<String>,
    outage: Outage,
    /// Slots that were lost and are not settled again.
    broken: HashSet<Slot>,
    /// Before this, restored is not said again.
    restored_from: Instant,
}

impl Keeper {
    pub(super) fn new(
        address: &Arc<Address>,
        seeds: &[Endpoint],
        inbox: mpsc::UnboundedReceiver<Request>,
        heard: mpsc::Sender<Vec<Event>>,
        held: Arc<AtomicUsize>,
    ) -> Self {
        let survey = Survey::begin(address, seeds);
        let (map, slots, broken) = Default::default();
        Self {
            outlook: survey.outlook(),
            survey,
            map,
            is_known: false,
            links: Links::new(address, heard.clone()),
            slots,
            held,
            inbox,
            heard,
            standing: Standing::Begun,
            failure: None,
            outage: Outage::default(),
            broken,
            restored_from: Instant::now(),
        }
    }

    /// Until the subscription is closed.
    pub(super) async fn run(mut self) {
        // Ends with `Closed`, which is no failure.
        let Err(Closed) = self.keep().await;
    }

    async fn keep(&mut self) -> Result<std::convert::Infallible, Closed> {
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                (id, news) = self.links.news() => self.heed(id, news),
                count = self.inbox.recv_many(&mut requests, BATCH) => {
                    if count == 0 {
                        return Err(Closed);
                    }
                    self.serve(requests.drain(..));
                }
                Ok(()) = self.outlook.changed() => self.look(),
                () = sleep_until(self.restored_from), if self.is_restored() => {}
                () = self.heard.closed() => return Err(Closed),
            }
            self.links.flush();
            self.report().await?;
        }
    }

    fn serve(&mut self, requests: impl Iterator<Item = Request>) {
        let mut touched = HashSet::new();
        let mut waiters = Vec::new();
        let mut held = self.held.load(Ordering::Relaxed);
        for request in requests {
            match request {
                Request::Acquire(slots) => {
                    for (slot, channels, waiter) in slots {
                        let holdings = &mut self.slots.entry(slot).or_default().holdings;
                        held -= holdings.len();
                        channels.into_iter().for_each(|channel| holdings.acquire(channel));
                        held += holdings.len();
                        touched.insert(slot);
                        waiters.push((slot, waiter));
                    }
                }
                Request::Release(slots) => {
                    for (slot, channels) in slots {
                        let Some(Placed { holdings, .. }) = self.slots.get_mut(&slot) else { continue };
                        held -= holdings.len();
                        channels.into_iter().for_each(|channel| holdings.release(channel));
                        held += holdings.len();
                        touched.insert(slot);
                    }
                }
            }
        }
        self.held.store(held, Ordering::Relaxed);
        for slot in touched {
            match self.slots.get_mut(&slot) {
                Some(placed) if placed.at.is_some() => {
                    if let Some((_, attached)) = placed.at.and_then(|id| self.links.get(id)) {
                        placed.apply(slot, attached);
                    }
                }
                _ => self.house(slot),
            }
        }
        for (slot, waiter) in waiters {
            self.slots.entry(slot).or_default().confirmations.wait(waiter);
        }
    }

    fn look(&mut self) {
        let Outlook { map, failure } = self.outlook.borrow_and_update().clone();
        self.is_known = failure.is_none();
        self.map = map;
        if let Some(failure) = failure {
            // Links that are up go on: who asks and who listens are different connections.
            if self.standing != Standing::Restored {
                self.lost(failure);
            }
        } else {
            let slots: Vec<Slot> = self.slots.keys().copied().collect();
            slots.into_iter().for_each(|slot| self.house(slot));
            self.links.retain(&self.map.owners());
        }
        if self.standing != Standing::Restored || self.failure.is_some() {
            self.survey.hurry();
        }
    }

    /// Brings a slot's channels to who serves it.
    fn house(&mut self, slot: Slot) {
        let Some(placed) = self.slots.get_mut(&slot) else { return };
        let Some(owner) = self.map.owner(slot) else {
            placed.lose();
            if self.is_known && placed.holds_any() {
                self.broken.insert(slot);
                self.moved(format!("slot {slot} is served by no node of the cluster"));
            } else {
                self.broken.remove(&slot);
            }
            return;
        };
        let id = self.links.to(owner).id;
        if placed.at == Some(id) {
            return;
        }
        if let Some((from, attached)) = placed.at.and_then(|id| self.links.get(id)) {
            let reason = format!("Redis at {from}: slot {slot} has moved to {owner}");
            let channels = placed.holdings.all().map(|(channel, _)| channel.to_owned()).collect();
            attached.next().commands.unsubscribe(channels);
            attached.next().parts.push((slot, placed.confirmations.sent()));
            if placed.lose() {
                self.broken.insert(slot);
                if self.standing != Standing::Lost {
                    self.failure.get_or_insert(reason);
                }
            }
        }
        let attached = self.links.to(owner);
        if attached.is_up {
            placed.place(slot, attached);
        }
    }

    fn heed(&mut self, id: LinkId, news: News) {
        let Some((endpoint, attached)) = self.links.get(id) else { return };
        let endpoint = endpoint.clone();
        match news {
            News::Up => {
                attached.is_up = true;
                for (slot, placed) in &mut self.slots {
                    if placed.at.is_none() && self.map.owner(*slot) == Some(&endpoint) {
                        placed.place(*slot, attached);
                    }
                }
            }
            News::Confirmed(number) => {
                for (slot, number) in attached.confirmed(number) {
                    let Some(placed) = self.slots.get_mut(&slot).filter(|placed| placed.at == Some(id)) else {
                        continue;
                    };
                    placed.confirm(number);
                    if placed.is_settled {
                        self.broken.remove(&slot);
                    }
                }
            }
            News::Moved(slot) => {
                let Some(placed) = self.slots.get_mut(&slot).filter(|placed| placed.at == Some(id)) else { return };
                if placed.lose() {
                    self.broken.insert(slot);
                    self.moved(format!("Redis at {endpoint}: it serves slot {slot} no longer"));
                }
                self.survey.hurry();
            }
            News::Failed(reason) => {
                self.links.remove(&endpoint);
                self.fail(id, &endpoint, reason);
                self.survey.hurry();
            }
        }
    }

    /// A link has failed that was up, or was to be.
    fn fail(&mut self, id: LinkId, endpoint: &Endpoint, reason: String) {
        let mut concerned = false;
        for (slot, placed) in &mut self.slots {
            if placed.at == Some(id) || (placed.at.is_none() && self.map.owner(*slot) == Some(endpoint)) {
                placed.lose();
                if placed.holds_any() {
                    self.broken.insert(*slot);
                    concerned = true;
                }
            }
        }
        if concerned {
            self.lost(reason);
        }
    }

    fn lost(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    /// One slot of many: while a cluster is resharded the first one speaks for all.
    fn moved(&mut self, reason: String) {
        if self.standing != Standing::Lost {
            self.lost(reason);
        }
    }

    /// Whether everything that is held is heard again, and nobody was told.
    fn is_restored(&self) -> bool {
        self.standing != Standing::Restored && self.is_known && self.broken.is_empty()
    }

    async fn report(&mut self) -> Result<(), Closed> {
        if let Some(reason) = self.failure.take()
            && self.outage.is_news(&reason, Instant::now())
        {
            self.standing = Standing::Lost;
            self.tell(Event::Lost { reason }).await?;
        }
        if self.is_restored() && Instant::now() >= self.restored_from {
            self.standing = Standing::Restored;
            self.outage.is_over();
            self.restored_from = Instant::now() + RESTORED_APART;
            tracing::info!(channels = self.held.load(Ordering::Relaxed), "backplane subscribed");
            self.tell(Event::Restored).await?;
        }
        Ok(())
    }

    async fn tell(&self, event: Event) -> Result<(), Closed> {
        self.heard.send(vec![event]).await.map_err(|_| Closed)
    }
}

//! A backplane that fails on demand, one for each edge, over the one that they share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use signal_bus::{Bus, BusError, Channels, Event, Events, Publication, memory::MemoryBus};
use tokio::sync::mpsc;

#[derive(Clone, Debug)]
pub(crate) struct FaultyBus {
    shared: MemoryBus,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// What is published is taken and goes nowhere.
    pub(crate) mute: AtomicBool,
    /// What is published is refused.
    pub(crate) refusing: AtomicBool,
    /// Nothing is heard.
    pub(crate) deaf: AtomicBool,
    /// Only answers go nowhere.
    pub(crate) speechless: AtomicBool,
    events: Mutex<Option<mpsc::UnboundedSender<Event>>>,
    held: Mutex<Vec<String>>,
}

impl FaultyBus {
    pub(crate) fn new(shared: &MemoryBus) -> (Arc<Self>, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        (Arc::new(Self { shared: shared.clone(), faults: Arc::clone(&faults) }), faults)
    }
}

impl Faults {
    /// Loses the backplane, word included.
    pub(crate) fn lose(&self) {
        self.refusing.store(true, Ordering::SeqCst);
        self.deaf.store(true, Ordering::SeqCst);
        self.say(Event::Lost { reason: "somebody pulled the plug".into() });
    }

    pub(crate) fn restore(&self) {
        self.refusing.store(false, Ordering::SeqCst);
        self.deaf.store(false, Ordering::SeqCst);
        self.say(Event::Restored);
    }

    /// Channels that are acquired and not released.
    pub(crate) fn held(&self, kind: &str) -> usize {
        self.held.lock().iter().filter(|channel| channel.contains(kind)).count()
    }

    pub(crate) fn say(&self, event: Event) {
        self.events.lock().as_ref().expect("somebody has subscribed").send(event).unwrap();
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if self.faults.refusing.load(Ordering::SeqCst) {
            return Err(BusError::Unreachable("somebody pulled the plug".into()));
        }
        if self.faults.mute.load(Ordering::SeqCst) {
            return Ok(());
        }
        let speechless = self.faults.speechless.load(Ordering::SeqCst);
        let is_heard = |publication: &&Publication| !speechless || !publication.channel.contains(":reply:");
        self.shared.publish(&batch.iter().filter(is_heard).cloned().collect::<Vec<_>>()).await
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        let (channels, events) = self.shared.subscribe();
        let (sender, said) = mpsc::unbounded_channel();
        *self.faults.events.lock() = Some(sender);
        let channels = Arc::new(CountedChannels { channels, faults: Arc::clone(&self.faults) });
        (channels, Box::new(FaultyEvents { events, said, faults: Arc::clone(&self.faults) }))
    }
}

#[derive(Debug)]
struct CountedChannels {
    channels: Arc<dyn Channels>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Channels for CountedChannels {
    async fn acquire(&self, channels: Vec<String>) -> Result<(), BusError> {
        self.faults.held.lock().extend(channels.clone());
        self.channels.acquire(channels).await
    }

    fn release(&self, channels: Vec<String>) {
        let mut held = self.faults.held.lock();
        for channel in &channels {
            let at = held.iter().position(|other| other == channel).expect("only what was acquired is released");
            held.swap_remove(at);
        }
        drop(held);
        self.channels.release(channels);
    }
}

struct FaultyEvents {
    events: Box<dyn Events>,
    said: mpsc::UnboundedReceiver<Event>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Events for FaultyEvents {
    async fn next(&mut self, events: &mut Vec<Event>, max: usize) -> bool {
        let mut heard = Vec::new();
        loop {
            tokio::select! {
                open = self.events.next(&mut heard, max) => {
                    if !open {
                        return false;
                    }
                    if !self.faults.deaf.load(Ordering::SeqCst) {
                        events.append(&mut heard);
                        return true;
                    }
                    heard.clear();
                }
                Some(event) = self.said.recv() => {
                    events.push(event);
                    return true;
                }
            }
        }
    }
}

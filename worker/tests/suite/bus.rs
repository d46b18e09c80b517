//! A backplane that remembers what was said, and can be taken away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use signal_bus::{Bus, BusError, Channels, Events, Publication, memory::MemoryBus};

#[derive(Debug, Default)]
pub(crate) struct TestBus {
    away: AtomicBool,
    failures: AtomicUsize,
    said: Mutex<Vec<Publication>>,
    memory: MemoryBus,
}

/// One push, as an edge would read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) channel: String,
    pub(crate) event: String,
    pub(crate) data: Value,
    pub(crate) traceparent: Option<String>,
}

impl TestBus {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    /// What was said so far, read as envelopes.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.said
            .lock()
            .iter()
            .map(|one| {
                let (_, envelope) = signal_wire::envelope::Envelope::decode(&one.channel, &one.payload).unwrap();
                assert_eq!(envelope.server_id, "emitter");
                Said {
                    channel: one.channel.clone(),
                    event: envelope.event.clone().into_owned(),
                    traceparent: envelope.traceparent.as_deref().map(str::to_owned),
                    data: serde_json::from_str(envelope.data.unwrap().get()).unwrap(),
                }
            })
            .collect()
    }

    /// Recipient and event of each push, in order.
    pub(crate) fn pushes(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.said()
            .iter()
            .filter(|said| said.event == "observation/signal/notification/created")
            .map(|said| {
                let recipient = text(&said.data["recipientId"]);
                assert_eq!(said.channel, format!("ws:room:signal/notification/{recipient}"));
                (recipient, text(&said.data["eventId"]))
            })
            .collect()
    }
}

#[async_trait]
impl Bus for TestBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if self.away.load(Ordering::SeqCst) {
            self.failures.fetch_add(1, Ordering::SeqCst);
            return Err(BusError::Unreachable("taken away".to_owned()));
        }
        self.said.lock().extend_from_slice(batch);
        self.memory.publish(batch).await
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        self.memory.subscribe()
    }
}

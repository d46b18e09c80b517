//! Pushes while the backplane comes and goes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use signal_harness::eventually;
use signal_service::health::Health;
use signal_wire::timestamp;
use signal_worker::{
    publish::{Drafted, Publisher, Push, PushedRow, Tally},
    store::Draft,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::TestBus,
    fixture::{draft, people},
};

struct Bench {
    bus: Arc<TestBus>,
    health: Health,
    publisher: Arc<Publisher>,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let (bus, health) = (TestBus::new(), Health::new());
        let publisher = Arc::new(Publisher::new(Arc::clone(&bus) as _, health.component("backplane")));
        Self { bus, health, publisher, stop: CancellationToken::new() }
    }

    fn watch(&self) {
        let (publisher, stop) = (Arc::clone(&self.publisher), self.stop.clone());
        tokio::spawn(async move { publisher.watch(stop).await });
    }

    async fn publish(&self, drafts: &[Draft], recipients: impl IntoIterator<Item = String>) -> Tally {
        let at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
        let push = |recipient_id: String| Push {
            draft: 0,
            row: PushedRow::New { id: format!("id-{recipient_id}"), recipient_id, created_at: at, modified_at: at },
        };
        let drafted = Drafted { drafts, traces: &[] };
        let tallies = self.publisher.publish(drafted, recipients.into_iter().map(push).collect()).await;
        tallies.get(&0).copied().unwrap_or_default()
    }

    fn resyncs(&self) -> Vec<String> {
        let said = self.bus.said();
        let resyncs = said.iter().filter(|said| said.event == "resync");
        resyncs
            .map(|said| {
                assert_eq!(said.data, json!({ "reason": "pushes_missed" }));
                said.channel.clone()
            })
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_short_outage_is_sat_out() {
    let bench = Bench::new();
    bench.bus.set_away(true);
    let drafts = [draft("evt")];
    let publishing = bench.publish(&drafts, people(0..2500));
    let back = async {
        eventually(Duration::from_secs(2), || async { bench.bus.failures() >= 2 }).await;
        bench.bus.set_away(false);
    };
    let (tally, ()) = tokio::join!(publishing, back);
    assert_eq!(tally, Tally { sent: 2500, missed: 0 });
    let pushed: Vec<String> = bench.bus.pushes().into_iter().map(|(recipient, _)| recipient).collect();
    assert_eq!(pushed, people(0..2500).collect::<Vec<_>>(), "all, in order");
    assert!(bench.health.is_ready());
}

#[tokio::test]
async fn who_missed_a_push_is_told_to_read_again() {
    let bench = Bench::new();
    bench.watch();
    eventually(Duration::from_secs(5), || async { bench.health.is_ready() }).await;
    bench.bus.set_away(true);
    let drafts = [draft("evt")];
    let started = Instant::now();
    assert_eq!(bench.publish(&drafts, people(0..2)).await, Tally { sent: 0, missed: 2 });
    let first = started.elapsed();
    assert!(first > Duration::from_secs(1) && first < Duration::from_secs(3), "{first:?}");
    assert!(!bench.health.is_ready());
    let started = Instant::now();
    for _ in 0..5 {
        bench.publish(&drafts, people(1..3)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(2), "an outage that is known holds nothing up");
    assert_eq!(bench.bus.said(), []);

    bench.bus.set_away(false);
    eventually(Duration::from_secs(10), || async { bench.resyncs().len() >= 3 }).await;
    assert_eq!(
        bench.resyncs(),
        people(0..3).map(|user| format!("ws:room:signal/notification/{user}")).collect::<Vec<_>>()
    );
    eventually(Duration::from_secs(5), || async { bench.health.is_ready() }).await;
}

#[tokio::test]
async fn beyond_ten_thousand_everybody_is_told() {
    let bench = Bench::new();
    bench.bus.set_away(true);
    bench.publish(&[draft("evt")], people(0..10_001)).await;
    bench.bus.set_away(false);
    bench.watch();
    eventually(Duration::from_secs(10), || async { !bench.resyncs().is_empty() }).await;
    assert_eq!(bench.resyncs(), ["ws:broadcast"]);
}

#[tokio::test]
async fn a_push_that_edges_would_drop_becomes_a_resync() {
    let bench = Bench::new();
    bench.watch();
    let mut large = draft("evt");
    large.metadata.insert("large".into(), "x".repeat(1024 * 1024).into());
    assert_eq!(bench.publish(&[large], people(0..1)).await, Tally { sent: 0, missed: 1 });
    eventually(Duration::from_secs(10), || async { !bench.resyncs().is_empty() }).await;
    assert_eq!(bench.bus.pushes(), []);
}

//! What became of an event, asked of a worker at work.

use std::{sync::Arc, time::Duration};

use signal_bus::Bus;
use signal_harness::eventually;
use signal_worker::{
    consume::range::Topic,
    explain::{Question, Report, Sources, explain},
    resolve::Domains,
};

use crate::{
    bus::TestBus,
    fixture::Fixture,
    kafka::{Cluster, SOON, TOPIC, event, settings},
};

struct Asked {
    text: String,
    json: serde_json::Value,
}

impl Asked {
    #[track_caller]
    fn says(&self, wanted: &[&str]) {
        for part in wanted {
            assert!(self.text.contains(part), "{part} in\n{}", self.text);
        }
    }
}

async fn ask(about: &str, cluster: &Cluster, fixture: &Fixture, bus: Option<&Arc<TestBus>>) -> Asked {
    let settings = settings(cluster.brokers());
    let topic = |name: &str| Topic::open(&settings, &name.parse().unwrap()).unwrap();
    let sources = Sources {
        topic: topic(TOPIC),
        dead_letters: topic(&format!("{TOPIC}.DLQ")),
        group: "signal".to_owned(),
        database: Arc::clone(&fixture.database),
        domains: Domains { organizer: "Organizer_{id}".into(), merchant: "Merchant_{id}".into() },
        bus: bus.map(|bus| Arc::clone(bus) as Arc<dyn Bus>),
    };
    let question = Question { event: about.to_owned(), from: None, limit: 2 };
    let facts = explain(&question, &sources).await.unwrap();
    Asked { text: Report(&facts).to_string(), json: facts.json() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_followed_from_its_record_to_its_pushes() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(2));
    fixture.join("Merchant_m1", ["ann".into(), "bob".into(), "eve".into()]).await;
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    let value = br#"{"id":"evt-m","type":"PAYMENT_SUCCESS","merchantId":"m1","excludeUserIds":["boss"],"data":{"amount":"5","currency":"USD"}}"#;
    cluster.produce([(0, event("evt-1", &["ann"])), (1, value.to_vec()), (0, b"{".to_vec())]).await;
    eventually(SOON, || async { cluster.committed(2) == [2, 1] }).await;
    fixture.join("Merchant_m1", ["later".into()]).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET read_at = created_at WHERE recipient_id = 'bob'"#).await;

    let asked = ask("evt-m", &cluster, &fixture, Some(&bus)).await;
    asked.says(&[
        &format!("{TOPIC}/1/0"),
        "PAYMENT_SUCCESS for merchant m1",
        "group signal has committed offset 1",
        "dead letter  none",
        "3, of which 1 read and 0 deleted",
        "and 1 more",
        "4 would get it now; 1 of them without a row: later; the event leaves out boss",
        "3 rows written, 0 already there, 0 deleted; 3 pushes sent",
        "its rows are there and were pushed",
    ]);
    assert_eq!(asked.json["rows"]["count"], 3);
    assert_eq!(asked.json["workers"][0]["entries"][0]["sent"], 3);

    let unreadable = ask(&format!("{TOPIC}/0/1"), &cluster, &fixture, Some(&bus)).await;
    unreadable.says(&[
        "can't be read: the value is not JSON",
        &format!("{TOPIC}.DLQ/"),
        "not_json: the value is not JSON",
        "set aside, for the value is not JSON",
        "`dead-letters retry` brings it in",
    ]);
    worker.stop().await;

    // What comes while no worker runs.
    cluster.produce([(1, event("evt-2", &["ann"]))]).await;
    let waiting = ask("evt-2", &cluster, &fixture, Some(&bus)).await;
    waiting.says(&[
        &format!("{TOPIC}/1/1"),
        "it is group signal's next",
        "no worker has answered",
        "not been handled yet",
    ]);
    let remembered = ask("evt-1", &cluster, &fixture, None).await;
    remembered.says(&["not asked", "its rows are there", "1, of which 0 read"]);
    let nothing = ask("evt-none", &cluster, &fixture, None).await;
    nothing.says(&["none among the 4 that were looked at", "nothing is known of it"]);
}

#[tokio::test]
async fn a_backplane_that_is_away_is_one_of_the_facts() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    bus.set_away(true);
    let asked =
        tokio::time::timeout(Duration::from_secs(60), ask("evt", &cluster, &fixture, Some(&bus))).await.unwrap();
    asked.says(&["not known: the backplane does not answer"]);
}

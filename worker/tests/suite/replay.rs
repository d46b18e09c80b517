//! Replay on librdkafka's in-process cluster and SQLite.

mod binary;
mod times;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use signal_harness::eventually;
use signal_service::{
    health::Health,
    settings::{Source, parse},
};
use signal_worker::{
    config::{Cli, Command},
    consume::range::Topic,
    pipeline::Occasion,
    replay::{Display, Ending, Parts, ReplaySettings, Report, replay},
    store::{Store, patient::Patient},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::TestBus,
    fixture::Fixture,
    interposed::Interposed,
    kafka::{Cluster, SOON, TOPIC, event, settings},
    pipeline::Bench,
};

fn asked(args: &[&str]) -> ReplaySettings {
    let args = ["signal-worker", "replay"].iter().chain(args);
    let cli: Cli = parse(args, &Source::default()).unwrap();
    match cli.command {
        Some(Command::Replay(asked)) => *asked,
        other => panic!("{other:?}"),
    }
}

/// A replay that is about to be made.
struct Attempt {
    parts: Parts,
    asked: ReplaySettings,
    bus: Arc<TestBus>,
}

impl Attempt {
    fn new(cluster: &Cluster, store: Arc<dyn Store>, args: &[&str]) -> Self {
        let (asked, health, stop) = (asked(args), Health::new(), CancellationToken::new());
        let patient = Patient::new(store, health.component("database"), stop.clone());
        let Bench { bus, mut pipeline } = Bench::new(Arc::new(patient));
        pipeline.occasion = Occasion::History;
        pipeline.selection = asked.selection();
        if !asked.pushes() {
            pipeline.publisher = None;
        }
        let mut consume = settings(cluster.brokers());
        consume.batch_size = 10;
        let topic = Topic::open(&consume, &TOPIC.parse().unwrap()).unwrap();
        Self { parts: Parts { topic, pipeline, health, display: Display::Log, stop }, asked, bus }
    }

    async fn run(&self) -> Report {
        replay(&self.parts, &self.asked).await.unwrap()
    }
}

async fn run(cluster: &Cluster, fixture: &Fixture, args: &[&str]) -> Report {
    Attempt::new(cluster, Arc::clone(&fixture.store), args).run().await
}

#[track_caller]
fn assert_finished(report: &Report) {
    assert!(matches!(report.ending, Ending::Finished), "{report}");
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("evt-{n:04}")).collect()
}

/// Events for Ann, in turn on so many partitions.
async fn produce(cluster: &Cluster, partitions: usize, names: &[String]) {
    let records = names.iter().enumerate().map(|(n, name)| ((n % partitions) as i32, event(name, &["ann"])));
    cluster.produce(records.collect::<Vec<_>>()).await;
}

async fn events(fixture: &Fixture) -> Vec<String> {
    fixture.texts(r#"SELECT event_id FROM "ActivityNotification" ORDER BY event_id"#).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_topic_twice_beside_the_worker_adds_and_moves_nothing() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(2));
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    let names = names(0..400);
    produce(&cluster, 2, &names[..200]).await;
    // Whichever of the two comes to a record first writes it.
    let (first, ()) =
        tokio::join!(run(&cluster, &fixture, &["--from", "beginning"]), produce(&cluster, 2, &names[200..]));
    assert_finished(&first);
    assert!(first.read >= 200 && first.matched == first.read, "{first}");
    assert_eq!(first.inserted + first.existing, first.read);
    eventually(SOON, || async { cluster.committed(2) == [200, 200] }).await;
    assert_eq!(events(&fixture).await, names);

    let again = run(&cluster, &fixture, &["--from", "beginning"]).await;
    assert_finished(&again);
    assert_eq!((again.read, again.inserted, again.existing), (400, 0, 400));
    assert_eq!(events(&fixture).await, names);
    assert_eq!(cluster.committed(2), [200, 200]);
    let mut pushed: Vec<String> = bus.pushes().into_iter().map(|(_, event)| event).collect();
    pushed.sort();
    assert_eq!(pushed, names, "the worker has told of each, once, and nobody else has");
    worker.stop().await;
    assert_eq!(cluster.committed(2), [200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_read_to_the_offset() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(3));
    let names = names(0..90);
    produce(&cluster, 3, &names).await;
    let at = |partition: usize, offset: usize| names[offset * 3 + partition].clone();
    let report = run(&cluster, &fixture, &["--from", "0:5,2:28", "--to", "0:7,1:9,2:99"]).await;
    assert_finished(&report);
    let mut expected = [at(0, 5), at(0, 6), at(2, 28), at(2, 29)];
    expected.sort();
    assert_eq!(events(&fixture).await, expected);
    let json = report.json();
    assert_eq!((report.read, &json["holes"]), (4, &json!(0)));
    assert_eq!(json["notes"], json!(["partition 2 ends at offset 30, before 99"]));
    let stretch = |partition, from, to| json!({ "partition": partition, "from": from, "to": to, "next": to });
    assert_eq!(json["partitions"], json!([stretch(0, 5, 7), stretch(2, 28, 30)]));

    assert_eq!(run(&cluster, &fixture, &["--from", "now"]).await.read, 0);
    let attempt = Attempt::new(&cluster, Arc::clone(&fixture.store), &["--from", "3:0"]);
    let error = replay(&attempt.parts, &attempt.asked).await.unwrap_err();
    assert_eq!(error.to_string(), "the topic has no partition 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_kept_is_said() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    // The in-process cluster keeps 5 MiB of a partition.
    cluster.produce((0..12).map(|_| (0, vec![b'x'; 600_000]))).await;
    produce(&cluster, 1, &names(0..2)).await;
    let report = run(&cluster, &fixture, &["--from", "0:0"]).await;
    assert_finished(&report);
    let json = report.json();
    let kept = json["partitions"][0]["from"].as_u64().unwrap();
    assert!(kept > 0, "{report}");
    assert_eq!(json["notes"], json!([format!("partition 0: offsets 0 to {} are no longer kept", kept - 1)]));
    assert_eq!((report.read, report.inserted), (14 - kept, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_fail_are_counted_and_the_first_are_named() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let mut records: Vec<Vec<u8>> = vec![b"{".to_vec(); 14];
    records.push(br#"{"type":"REFUND","userIds":["ann"]}"#.to_vec());
    records.push(event("evt-1", &["ann"]));
    cluster.produce(records.into_iter().map(|value| (0, value))).await;
    let report = run(&cluster, &fixture, &["--from", "beginning", "--type", "PAYMENT_SUCCESS"]).await;
    assert_finished(&report);
    assert_eq!((report.read, report.matched, report.inserted, report.failed()), (16, 1, 1, 14));
    assert!(report.has_loose_ends());
    let json = report.json();
    assert_eq!(json["failures"], json!({ "not_json": 14 }));
    let first = json["firstFailures"].as_array().unwrap();
    assert_eq!(first.len(), 10);
    let position = format!("{TOPIC}/0/0");
    assert_eq!(first[0], json!({ "position": position, "reason": "not_json", "detail": "the value is not JSON" }));
    let text = report.to_string();
    assert!(text.contains("14  not_json") && text.contains(&format!("{position}: the value is not JSON")), "{text}");
    let all = run(&cluster, &fixture, &["--from", "beginning"]).await;
    assert_eq!(all.json()["failures"], json!({ "not_json": 14, "unknown_type": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn push_tells_exactly_those_who_got_a_row() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(2));
    let names = names(0..50);
    produce(&cluster, 2, &names).await;
    run(&cluster, &fixture, &["--from", "0:0", "--to", "0:10"]).await;
    let there: BTreeSet<String> = events(&fixture).await.into_iter().collect();
    assert_eq!(there.len(), 10);

    let attempt = Attempt::new(&cluster, Arc::clone(&fixture.store), &["--from", "beginning", "--push"]);
    let report = attempt.run().await;
    assert_finished(&report);
    assert_eq!((report.inserted, report.existing, report.pushed, report.missed), (40, 10, 40, 0));
    let pushed: BTreeSet<String> = attempt.bus.pushes().into_iter().map(|(_, event)| event).collect();
    assert_eq!(attempt.bus.said().len(), 40);
    assert_eq!(pushed, names.into_iter().filter(|name| !there.contains(name)).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_missed_a_push_is_told_before_the_end() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    produce(&cluster, 1, &names(0..30)).await;
    let attempt = Attempt::new(&cluster, Arc::clone(&fixture.store), &["--from", "beginning", "--push"]);
    attempt.bus.set_away(true);
    let journal = &attempt.parts.pipeline.journal;
    let given_up = || async { journal.of("evt-0000").iter().any(|entry| entry.missed > 0) };
    let back = async {
        eventually(SOON, given_up).await;
        attempt.bus.set_away(false);
    };
    let (report, ()) = tokio::join!(attempt.run(), back);
    assert_finished(&report);
    assert_eq!((report.inserted, report.pushed + report.missed, report.told), (30, 30, true));
    assert!(report.missed > 0 && !report.has_loose_ends(), "{report}");
    let resyncs = attempt.bus.said().into_iter().filter(|said| said.event == "resync").map(|said| said.channel);
    assert_eq!(resyncs.collect::<BTreeSet<_>>(), ["ws:room:signal/notification/ann".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_for_what_matches_alone() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let of = |merchant: &str, id: String| {
        let mut event: Value = serde_json::from_slice(&event(&id, &["ann"])).unwrap();
        event["merchantId"] = json!(merchant);
        (0, event.to_string().into_bytes())
    };
    let mut records: Vec<_> = (0..2000).map(|n| of("other", format!("other-{n}"))).collect();
    records.extend((0..40).map(|n| of("m1", format!("evt-{n}"))));
    cluster.produce(records).await;
    // One by one, a tenth of a second each; the others would take more than three minutes.
    let report = run(&cluster, &fixture, &["--from", "beginning", "--merchant", "m1", "--rate", "10"]).await;
    assert_finished(&report);
    assert_eq!((report.read, report.matched, report.inserted), (2040, 40, 40));
    let seconds = report.json()["seconds"].as_f64().unwrap();
    assert!((3.9..120.0).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_behind_a_batch_and_says_how_to_go_on() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(3));
    let names = names(0..1200);
    produce(&cluster, 3, &names).await;
    let attempt = Attempt::new(&cluster, Arc::clone(&fixture.store), &["--from", "beginning", "--rate", "100"]);
    let stop = async {
        eventually(SOON, || async { events(&fixture).await.len() > 20 }).await;
        attempt.parts.stop.cancel();
    };
    let (report, ()) = tokio::join!(attempt.run(), stop);
    assert!(matches!(report.ending, Ending::Stopped), "{report}");
    assert!(report.read < 1200);
    assert_eq!(events(&fixture).await.len() as u64, report.read);
    // What came later is not meant by who goes on.
    produce(&cluster, 3, &["later".to_owned()]).await;

    let json = report.json();
    let command = json["resume"].as_str().unwrap();
    let args: Vec<&str> = command.strip_prefix("signal-worker replay ").unwrap().split(' ').collect();
    let rest = run(&cluster, &fixture, &args).await;
    assert_finished(&rest);
    assert_eq!((rest.read, rest.inserted), (1200 - report.read, 1200 - report.read), "nothing is read twice");
    assert_eq!(events(&fixture).await, names);
}

/// The database was asked, and did not answer.
fn is_away(attempt: &Attempt) -> bool {
    let status = attempt.parts.health.status("database").unwrap();
    !status.up && status.reason.as_deref() != Some("starting")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_beginning_says_the_whole_command() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let attempt = Attempt::new(&cluster, Arc::clone(&fixture.store), &["--from", "2h", "--user", "ann"]);
    attempt.parts.stop.cancel();
    let report = attempt.run().await;
    assert!(matches!(report.ending, Ending::Stopped), "{report}");
    let json = report.json();
    // Not what is two hours ago by then.
    let words: Vec<&str> = json["resume"].as_str().unwrap().split(' ').collect();
    let ["signal-worker", "replay", "--from", from, "--to", to, "--user=ann"] = words[..] else { panic!("{words:?}") };
    let [from, to] = [from, to].map(|text| signal_wire::timestamp::parse(text).unwrap());
    assert_eq!((to - from).whole_hours(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_waited_for_and_a_stop_is_not() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let names = names(0..35);
    produce(&cluster, 1, &names).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("checkpoint");
    let args = ["--from", "0:0", "--checkpoint", file.to_str().unwrap()];
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    store.set_away(true);
    let stopped = Attempt::new(&cluster, Arc::clone(&store) as _, &args);
    let stop = async {
        eventually(SOON, || async { is_away(&stopped) }).await;
        stopped.parts.stop.cancel();
    };
    let (report, ()) = tokio::join!(stopped.run(), stop);
    assert!(matches!(report.ending, Ending::Stopped), "{report}");
    let json = report.json();
    assert_eq!((report.read, json["partitions"][0]["next"].as_u64()), (0, Some(0)));
    let same = format!("signal-worker replay --from 0:0 --to end --checkpoint={}", file.display());
    assert_eq!(json["resume"].as_str(), Some(same.as_str()));

    let patient = Attempt::new(&cluster, Arc::clone(&store) as _, &args);
    let back = async {
        eventually(SOON, || async { is_away(&patient) }).await;
        store.set_away(false);
    };
    let (report, ()) = tokio::join!(patient.run(), back);
    assert_finished(&report);
    assert_eq!((report.read, report.json()["doneBefore"].as_u64()), (35, Some(0)));
    assert_eq!(events(&fixture).await, names);

    // All is done: whoever starts it once more is told so, and nothing is read.
    produce(&cluster, 1, &["later".to_owned()]).await;
    let report = run(&cluster, &fixture, &args).await;
    assert!(matches!(report.ending, Ending::FinishedBefore), "{report}");
    assert_eq!((report.read, report.json()["doneBefore"].as_u64()), (0, Some(35)));
    let other = Attempt::new(&cluster, Arc::clone(&fixture.store), &[&args[..], &["--user", "ann"]].concat());
    let error = replay(&other.parts, &other.asked).await.unwrap_err().to_string();
    assert!(error.contains("is of another replay"), "{error}");
}

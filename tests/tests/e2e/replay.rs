//! Replay beside the live worker: it adds what is missing, nothing else, and nobody notices unless asked to.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signal_harness::{Kafka, Kcat, Launch, Postgres, PubSub, Service, eventually, require};
use signal_tests::launch;

use crate::{
    platform::{Platform, SOON, payment},
    window::Window,
};

const EVENTS: usize = 400;
const OF_MER_2: usize = EVENTS / 4;

/// Every fourth event is of the other merchant.
fn events() -> Vec<String> {
    let event = |number: usize| {
        let merchant = if number.is_multiple_of(4) { "mer-2" } else { "mer-1" };
        payment(&format!("evt_{number:03}"), &json!({ "merchantId": merchant })).to_string()
    };
    (0..EVENTS).map(event).collect()
}

fn replay(platform: &Platform, args: &[&str]) -> Launch {
    let launch = Service::worker()
        .env("SIGNAL_DATABASE_URL", platform.database.url())
        .env("SIGNAL_KAFKA_BROKERS", platform.kafka.brokers())
        .env("SIGNAL_KAFKA_TOPIC", &platform.topic)
        // The live workers' group, as it is where one image runs both.
        .env("SIGNAL_KAFKA_GROUP", &platform.topic)
        .env("SIGNAL_BATCH_SIZE", "50")
        .arg("replay")
        .arg("--json");
    args.iter().fold(launch, |launch, arg| launch.arg(arg))
}

async fn run(launch: Launch) -> Value {
    let output = launch.run(2 * SOON).await.expect_success();
    let summary = output.lines().find(|line| line.contains(r#""alreadyThere""#)).expect("a summary on one line");
    let summary: Value = serde_json::from_str(summary).unwrap();
    assert_eq!((summary["ending"].as_str(), summary["failed"].as_u64()), (Some("finished"), Some(0)), "{summary}");
    summary
}

fn counts(summary: &Value) -> [u64; 4] {
    ["read", "matched", "inserted", "alreadyThere"].map(|name| summary[name].as_u64().unwrap())
}

/// How often a window has had each event, but for fences.
fn heard(window: &Window) -> BTreeMap<String, usize> {
    let mut heard = BTreeMap::new();
    for id in window.event_ids().into_iter().filter(|id| !id.starts_with("fence")) {
        *heard.entry(id).or_default() += 1;
    }
    heard
}

fn times(heard: &BTreeMap<String, usize>, times: usize) -> usize {
    heard.values().filter(|heard| **heard == times).count()
}

/// Rows by event and person, each with when it counts as created, in milliseconds.
async fn rows(platform: &Platform, condition: &str) -> BTreeMap<String, i64> {
    let query = format!(
        r#"select event_id || '/' || recipient_id, (extract(epoch from created_at) * 1000)::bigint
           from "ActivityNotification" where event_id like 'evt%' and {condition}"#
    );
    let rows = platform.postgres.sql(platform.database.name(), &query).await;
    let row = |line: &str| {
        let (key, created_at) = line.split_once('|').unwrap();
        (key.to_owned(), created_at.parse().unwrap())
    };
    rows.lines().map(row).collect()
}

/// What a member that comes or goes would move: the group's offset and its generation.
async fn group(platform: &Platform) -> (i64, f64) {
    let Platform { kafka, topic, worker, .. } = platform;
    let rebalances = worker.metrics().await.sum("signal_worker_kafka_rebalances_total", &[]);
    (kafka.committed(topic, topic, 0).await, rebalances)
}

async fn committed_up_to(platform: &Platform, end: i64) {
    eventually(SOON, || async {
        let committed = platform.kafka.committed(&platform.topic, &platform.topic, 0).await;
        if committed == end { Ok(()) } else { Err(format!("{committed} of {end}")) }
    })
    .await;
}

/// A platform and the windows of its people.
async fn scene() -> (Platform, [Window; 3]) {
    let platform = Platform::up().await;
    platform.merchant("mer-1", &["an", "binh"]).await;
    platform.merchant("mer-2", &["binh", "chi"]).await;
    let windows = futures_util::future::join_all(["an", "binh", "chi"].map(|user| platform.window(user))).await;
    (platform, windows.try_into().unwrap_or_else(|_| panic!("three people have three windows")))
}

async fn produce(platform: &Platform, events: &[String]) {
    for some in events.chunks(40) {
        Kcat::produce_lines(&platform.kafka.brokers(), &platform.topic, some).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_topic_twice_beside_the_worker_adds_no_row_and_reaches_no_window() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (platform, [an, binh, chi]) = scene().await;
    let (_, rebalances) = group(&platform).await;
    // Two replays of the whole topic at once, while it is being written and consumed.
    let events = events();
    let (some, others) = events.split_at(EVENTS / 2);
    produce(&platform, some).await;
    let beside = async || {
        let [read, matched, inserted, existing] = counts(&run(replay(&platform, &["--from", "beginning"])).await);
        assert!(read >= some.len() as u64 && matched == read && inserted + existing == 2 * read);
    };
    tokio::join!(produce(&platform, others), beside(), beside());
    platform.fence("fence_1", &[&an, &binh, &chi]).await;
    let end = EVENTS as i64 + 1;
    committed_up_to(&platform, end).await;
    let written = rows(&platform, "true").await;
    assert_eq!(written.len(), 2 * EVENTS, "each of an event's people has it once");

    // Nothing is missing any more: twice more, and nothing is added.
    for _ in 0..2 {
        let summary = run(replay(&platform, &["--from", "beginning"])).await;
        assert_eq!(counts(&summary), [end as u64, end as u64, 0, 2 * EVENTS as u64 + 3]);
    }
    assert_eq!(rows(&platform, "true").await, written);
    assert_eq!(group(&platform).await, (end, rebalances), "the group is where the worker left it");
    platform.fence("fence_2", &[&an, &binh, &chi]).await;
    for (window, count) in [(&an, EVENTS - OF_MER_2), (&binh, EVENTS), (&chi, OF_MER_2)] {
        let heard = heard(window);
        assert_eq!((heard.len(), times(&heard, 1)), (count, count), "{} hears of each once", window.user());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_comes_back_as_old_as_it_is_and_only_push_tells_of_it() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (platform, [an, binh, chi]) = scene().await;
    let all = [&an, &binh, &chi];
    let (_, rebalances) = group(&platform).await;
    produce(&platform, &events()).await;
    platform.fence("fence_1", &all).await;
    let delete = async |condition: &str| {
        let delete = format!(r#"delete from "ActivityNotification" where {condition}"#);
        platform.postgres.sql(platform.database.name(), &delete).await;
    };
    let (read, lost) = (EVENTS as u64 + 1, OF_MER_2 as u64);

    delete("merchant_id = 'mer-2'").await;
    let args = ["--from", "2020-01-01", "--merchant", "mer-2"];
    let dry = run(replay(&platform, &[&args[..], &["--dry-run"]].concat())).await;
    assert_eq!(counts(&dry), [read, lost, 2 * lost, 0]);
    assert_eq!(rows(&platform, "merchant_id = 'mer-2'").await.len(), 0);
    assert_eq!(counts(&run(replay(&platform, &args)).await), counts(&dry));
    let produced = Kcat::times(&platform.kafka.brokers(), &platform.topic, 0).await;
    let mut expected = BTreeMap::new();
    for number in (0..EVENTS).step_by(4) {
        expected.extend(["binh", "chi"].map(|user| (format!("evt_{number:03}/{user}"), produced[number])));
    }
    assert_eq!(rows(&platform, "merchant_id = 'mer-2'").await, expected);
    platform.fence("fence_2", &all).await;
    let silent = heard(&chi);
    assert_eq!((silent.len(), times(&silent, 1)), (OF_MER_2, OF_MER_2), "nobody hears of it without --push");

    delete("merchant_id = 'mer-2' and recipient_id = 'chi'").await;
    let pushing = replay(&platform, &["--from", "beginning", "--push"]);
    let summary = run(launch::on(pushing, &platform.backplane.pubsub)).await;
    assert_eq!((counts(&summary)[2], summary["pushed"].as_u64()), (lost, Some(lost)));
    platform.fence("fence_3", &all).await;
    for (window, once, again) in [(&an, EVENTS - OF_MER_2, 0), (&binh, EVENTS, 0), (&chi, 0, OF_MER_2)] {
        let heard = heard(window);
        assert_eq!((times(&heard, 1), times(&heard, 2), heard.len()), (once, again, once + again), "{}", window.user());
    }
    let pushed = chi.notifications().into_iter().rfind(|data| data["eventId"] == "evt_000").unwrap();
    let created_at = signal_wire::timestamp::parse(pushed["createdAt"].as_str().unwrap()).unwrap();
    assert_eq!(created_at.unix_timestamp_nanos(), i128::from(produced[0]) * 1_000_000);

    // The worker has consumed the fences meanwhile, and that is all that its group has seen.
    committed_up_to(&platform, EVENTS as i64 + 3).await;
    assert_eq!(group(&platform).await, (EVENTS as i64 + 3, rebalances));
}

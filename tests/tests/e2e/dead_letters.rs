//! Records that can't be handled: all of them, and only they, are on the topic of dead letters, to the byte, whatever
//! happens meanwhile; and come in once the cause is mended.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use signal_harness::{Consumed, Finished, Issuer, Kafka, Kcat, Postgres, PubSub, Record, Service, eventually, require};
use signal_tests::{launch, malformed};

use crate::platform::{Platform, SOON, dead_letters_of, enrol, migrate, payment, worker};

/// No payment by gift card, says the core, for a while.
const NO_GIFTS: &str = r#"alter table "ActivityNotification"
    add constraint no_gifts check (metadata->'data'->>'paymentMethod' is distinct from 'GIFT')"#;

/// Twenty kinds of records that nobody can make anything of, with keys and headers that are to survive.
fn malformed() -> Vec<Record> {
    let kinds = malformed::records::all();
    let step = kinds.len() / 18;
    let values = kinds.into_iter().step_by(step).take(18).map(|(_, value)| value);
    let mut records: Vec<Record> = values.map(Record::new).collect();
    records.push(Record::tombstone().key("mer-1"));
    records.push(Record::new("").key("mer-1"));
    assert_eq!(records.len(), 20);
    let adorn = |(at, record): (usize, Record)| match at % 4 {
        0 => record,
        1 => record.key("mer-1").header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        2 => record.key(b"\xff\xfe key".as_slice()).header("twice", "1").header("twice", b"\xff,=\n".as_slice()),
        _ => record.key("mer-2").header_without_value("none").header("empty", "").header("Ph\u{ea}", "\u{1f600}"),
    };
    records.into_iter().enumerate().map(adorn).collect()
}

fn gift(id: Option<&str>) -> Record {
    let mut event = payment(id.unwrap_or_default(), &json!({ "merchantId": "mer-1" }));
    event["data"]["paymentMethod"] = "GIFT".into();
    if id.is_none() {
        event.as_object_mut().unwrap().remove("id");
    }
    Record::new(event.to_string()).key("mer-1").header("till", "4")
}

/// The letters of a topic once there are so many, by where their records were.
async fn letters(platform: &Platform, count: usize) -> BTreeMap<i64, Consumed> {
    let (brokers, name) = (platform.kafka.brokers(), dead_letters_of(&platform.topic));
    let all = eventually(SOON, || async {
        let all = Kcat::consume(&brokers, &name).await;
        if all.len() >= count { Ok(all) } else { Err(format!("{} letters", all.len())) }
    })
    .await;
    assert_eq!(all.len(), count, "each once");
    let origin = |letter: &Consumed| letter.header("__connect.errors.offset").unwrap().parse().unwrap();
    all.into_iter().map(|letter| (origin(&letter), letter)).collect()
}

async fn command(platform: &Platform, args: &[&str]) -> Finished {
    let launch = launch::on(Service::worker(), &platform.backplane.pubsub)
        .env("SIGNAL_KAFKA_BROKERS", platform.kafka.brokers())
        .env("SIGNAL_KAFKA_TOPIC", &platform.topic)
        .env("SIGNAL_DATABASE_URL", platform.database.url())
        .arg("dead-letters");
    args.iter().fold(launch, |launch, arg| launch.arg(arg)).run(SOON).await
}

#[track_caller]
fn assert_says(finished: &Finished, success: bool, lines: &[&str]) {
    assert_eq!(finished.status.success(), success, "{}", finished.output);
    for line in lines {
        assert!(finished.text().lines().any(|said| said == *line), "{line} in\n{}", finished.output);
    }
}

#[tokio::test]
async fn one_in_a_hundred_is_malformed_and_exactly_those_are_dead_letters_until_they_are_mended() {
    const GOOD: usize = 1980;
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    let brokers = platform.kafka.brokers();
    platform.merchant("mer-1", &["an", "binh"]).await;
    let window = platform.window("an").await;
    platform.postgres.sql(platform.database.name(), NO_GIFTS).await;

    let good: Vec<String> =
        (0..GOOD).map(|n| payment(&format!("evt_{n}"), &json!({ "merchantId": "mer-1" })).to_string()).collect();
    let mut bad = malformed();
    bad.extend([gift(Some("gift_1")), gift(None), gift(Some("gift_2"))]);
    // Where each will be on the only partition.
    let mut expected: BTreeMap<i64, Record> = BTreeMap::new();
    let mut next = 0;
    for (good, bad) in good.chunks(GOOD.div_ceil(bad.len())).zip(&bad) {
        Kcat::produce_lines(&brokers, &platform.topic, good).await;
        platform.produce_record(bad).await;
        next += good.len() as i64;
        expected.insert(next, bad.clone());
        next += 1;
    }
    platform.fence("fence_1", &[&window]).await;

    let rows = 2 * GOOD as u64 + 1;
    assert_eq!(platform.rows().await, rows);
    let records = Kcat::consume(&brokers, &platform.topic).await;
    let letters_then = letters(&platform, expected.len()).await;
    assert_eq!(letters_then.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (offset, letter) in &letters_then {
        let record = &records[usize::try_from(*offset).unwrap()];
        assert!(record.is(&expected[offset]), "{offset}: produced as it was meant");
        let (own, added) = letter.headers.split_at(record.headers.len());
        assert_eq!((&letter.key, &letter.value), (&record.key, &record.value), "{offset}");
        assert_eq!((own, letter.timestamp), (&*record.headers, record.timestamp), "{offset}");
        let names: Vec<_> = added.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        let connects = ["topic", "partition", "offset", "exception.class.name", "exception.message"];
        assert_eq!(names, connects.map(|name| format!("__connect.errors.{name}")), "{offset}");
        assert_eq!(letter.header("__connect.errors.topic").as_ref(), Some(&platform.topic));
        assert_eq!(letter.header("__connect.errors.partition").as_deref(), Some("0"));
    }

    let listed = command(&platform, &["list", "--since", "1h"]).await;
    assert_says(
        &listed,
        true,
        &[&format!("23 on the topic {}", dead_letters_of(&platform.topic)), "       3  refused_by_database"],
    );
    let json = command(&platform, &["list", "--json", "--reason", "refused_by_database"]).await;
    let ids: Vec<Value> =
        json.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take()).collect();
    assert_eq!(ids, [json!("gift_1"), Value::Null, json!("gift_2")]);
    assert_says(
        &command(&platform, &["list", "--from", "2100-01-01T00:00:00Z"]).await,
        true,
        &[&format!("0 on the topic {}", dead_letters_of(&platform.topic))],
    );
    let too_early = command(&platform, &["retry", "--reason", "refused_by_database"]).await;
    assert_says(&too_early, false, &["brought in     0", "still failing  3"]);

    let mend = r#"alter table "ActivityNotification" drop constraint no_gifts"#;
    platform.postgres.sql(platform.database.name(), mend).await;
    let mended = command(&platform, &["retry", "--all"]).await;
    let came_in = "rows           6 inserted, 0 already there, 0 deleted by their people before";
    assert_says(&mended, false, &["selected       23", "brought in     3", "still failing  20", came_in]);
    let without_id = expected.keys().rev().nth(1).unwrap();
    let gifts = ["gift_1".to_owned(), format!("{}/0/{without_id}", platform.topic), "gift_2".to_owned()];
    for gift in &gifts {
        window.wait_for_notification(gift).await;
        assert_eq!(platform.recipients(gift).await, ["an", "binh"]);
    }
    assert_eq!(platform.rows().await, rows + 6);

    let again = command(&platform, &["retry", "--reason", "refused_by_database"]).await;
    let known = "rows           0 inserted, 6 already there, 0 deleted by their people before";
    assert_says(&again, true, &["brought in     3", "still failing  0", known]);
    platform.fence("fence_2", &[&window]).await;
    assert_eq!(platform.rows().await, rows + 7);
    assert_eq!(letters(&platform, expected.len()).await, letters_then, "letters stay as they are");
    let pushed: BTreeSet<String> = window.notifications().iter().map(|data| data["id"].to_string()).collect();
    assert_eq!(pushed.len(), GOOD + 3 + 2, "what is pushed again is known");
}

#[tokio::test]
async fn what_the_topic_is_too_small_for_is_kept_without_its_value_and_read_where_it_was() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    let window = platform.window("an").await;
    platform.postgres.sql(platform.database.name(), NO_GIFTS).await;
    // As large as the topic takes: with the headers of a letter it is too large.
    let mut event = payment("large", &json!({ "userIds": ["an"], "padding": "" }));
    event["data"]["paymentMethod"] = "GIFT".into();
    event["padding"] = "x".repeat(1_048_400 - event.to_string().len()).into();
    platform.produce_record(&Record::new(event.to_string()).key("mer-1").header("till", "4")).await;
    platform.fence("fence", &[&window]).await;

    let letter = letters(&platform, 1).await.remove(&0).unwrap();
    assert_eq!((letter.key.as_deref(), letter.value), (Some(b"mer-1".as_slice()), None));
    assert_eq!((letter.headers[0].0.as_slice(), letter.headers.len()), (b"till".as_slice(), 8));
    let expected = json!({ "left.out": "value", "value.bytes": "1048400" });
    for (name, value) in expected.as_object().unwrap() {
        let header = [(format!("__signal.errors.{name}").into_bytes(), Some(value.as_str().unwrap().into()))];
        assert!(letter.headers.contains(&header[0]), "{name}");
    }
    let counted = platform.worker.metrics().await;
    assert_eq!(counted.sum("signal_worker_dead_letters_incomplete_total", &[("left_out", "value")]), 1.0);

    let mend = r#"alter table "ActivityNotification" drop constraint no_gifts"#;
    platform.postgres.sql(platform.database.name(), mend).await;
    let mended = command(&platform, &["retry", "--at", "0:0", "1:0"]).await;
    assert!(mended.text().contains("brought in     1\n"), "{}", mended.output);
    assert_eq!(platform.recipients("large").await, ["an"]);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named_and_waited_for_over_a_kill() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let topic = kafka.topic("no-letters", 1).await;
    let launch = || {
        worker(database.url(), &kafka.brokers(), &topic, &pubsub, &issuer)
            .env("SIGNAL_KAFKA_GROUP", &topic)
            .env("SIGNAL_KAFKA_PROPERTIES", "session.timeout.ms=6000,heartbeat.interval.ms=500")
            .spawn()
    };
    let record = |id: &str| Record::new(payment(id, &json!({ "userIds": ["an"] })).to_string());
    let name = dead_letters_of(&topic);
    let says_so = async |worker: &Service| {
        let looks = || async {
            let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
            let body: Value = serde_json::from_str(&ready.body).map_err(|error| error.to_string())?;
            let reason = body["components"]["dead_letters"]["reason"].as_str().unwrap_or_default();
            let named = reason.contains(&name) && reason.contains("does not exist");
            if ready.status == 503 && named { Ok(()) } else { Err(ready.body) }
        };
        worker.wait_until(2 * SOON, looks).await;
    };
    let worker = launch();
    let warned = "the first record that can't be handled will be waited with";
    eventually(SOON, || async { worker.output().contains(warned) }).await;
    for record in [record("evt_1"), Record::new("{"), record("evt_2")] {
        Kcat::produce(&kafka.brokers(), &topic, &record).await;
    }
    says_so(&worker).await;
    worker.kill();
    let worker = launch();
    says_so(&worker).await;

    kafka.create_topic(&name, 1).await;
    worker.wait_ready(SOON).await;
    let rows = r#"select event_id from "ActivityNotification" order by 1"#;
    eventually(SOON, || async {
        let rows = postgres.sql(database.name(), rows).await;
        if rows == "evt_1\nevt_2" { Ok(()) } else { Err(rows) }
    })
    .await;
    let values = async || -> Vec<Option<Vec<u8>>> {
        Kcat::consume(&kafka.brokers(), &name).await.into_iter().map(|letter| letter.value).collect()
    };
    assert_eq!(values().await, [Some(b"{".to_vec())]);

    // And one that goes away while it is written to.
    kafka.delete_topic(&name).await;
    Kcat::produce(&kafka.brokers(), &topic, &Record::new("}")).await;
    says_so(&worker).await;
    kafka.create_topic(&name, 1).await;
    worker.wait_ready(SOON).await;
    assert_eq!(values().await, [Some(b"}".to_vec())]);
}

#[tokio::test]
async fn a_worker_that_is_killed_again_and_again_loses_no_letter() {
    const EVENTS: usize = 600;
    require!(Postgres, PubSub, Kafka, Kcat);
    let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
    let (postgres, kafka) = tokio::join!(Postgres::shared(), Kafka::shared());
    let database = postgres.database_with("core", async |url| migrate(&url).await).await;
    let topic = kafka.topic("killed-letters", 3).await;
    let name = dead_letters_of(&topic);
    kafka.create_topic(&name, 2).await;
    enrol(postgres, &database, "Merchant_mer-1", &["an"]).await;
    let bad = |number: usize| number.is_multiple_of(3);
    let value = |number: usize| match bad(number) {
        true => format!("bad_{number}"),
        false => payment(&format!("evt_{number}"), &json!({ "merchantId": "mer-1" })).to_string(),
    };
    Kcat::produce_lines(&kafka.brokers(), &topic, &(0..EVENTS).map(value).collect::<Vec<_>>()).await;

    let launch = || {
        worker(database.url(), &kafka.brokers(), &topic, &pubsub, &issuer)
            .env("SIGNAL_KAFKA_GROUP", &topic)
            .env("SIGNAL_BATCH_SIZE", "10")
            .env("SIGNAL_KAFKA_PROPERTIES", "session.timeout.ms=6000,heartbeat.interval.ms=500")
            .spawn()
    };
    let rows = async || -> usize {
        postgres.sql(database.name(), r#"select count(*) from "ActivityNotification""#).await.parse().unwrap()
    };
    let all_rows = (0..EVENTS).filter(|number| !bad(*number)).count();
    for _ in 0..2 {
        let before = rows().await;
        let worker = launch();
        let moves = || async {
            let rows = rows().await;
            if rows > before || rows == all_rows { Ok(()) } else { Err(format!("{rows} rows")) }
        };
        worker.wait_until(2 * SOON, moves).await;
        worker.kill();
    }
    let worker = launch();
    let expected: BTreeSet<Vec<u8>> = (0..EVENTS).filter(|number| bad(*number)).map(|n| value(n).into()).collect();
    let all_kept = || async {
        let kept = Kcat::consume(&kafka.brokers(), &name).await;
        let values: BTreeSet<Vec<u8>> = kept.iter().map(|letter| letter.value.clone().unwrap()).collect();
        let rows = rows().await;
        if (&values, rows) == (&expected, all_rows) {
            Ok(())
        } else {
            Err(format!("{} letters, {rows} rows", values.len()))
        }
    };
    worker.wait_until(2 * SOON, all_kept).await;
}

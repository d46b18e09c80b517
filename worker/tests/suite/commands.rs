//! `signal-worker dead-letters`, the binary, on letters that a worker has written.

use std::sync::Arc;

use serde_json::Value;
use signal_harness::{Launch, Service, eventually, free_port};

use crate::{
    bus::TestBus,
    fixture::Fixture,
    kafka::{Cluster, DEAD_LETTERS, SOON, event},
};

/// What a worker makes of the values whose database takes nothing for gus.
async fn letters(values: &[&[u8]]) -> Cluster {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let not_for_gus = r#"CREATE TRIGGER gus BEFORE INSERT ON "ActivityNotification" WHEN new.recipient_id = 'gus'
        BEGIN SELECT RAISE(ABORT, 'gus'); END"#;
    fixture.run(not_for_gus).await;
    cluster.produce(values.iter().map(|value| (0, value.to_vec()))).await;
    let worker = cluster.worker_from_the_beginning(&TestBus::new(), Arc::clone(&fixture.store));
    let all = i64::try_from(values.len()).unwrap();
    eventually(SOON, || async { cluster.committed(1) == [all] }).await;
    worker.stop().await;
    cluster
}

fn command(cluster: &Cluster, args: &[&str]) -> Launch {
    let launch = Service::worker().env("SIGNAL_KAFKA_BROKERS", cluster.brokers()).arg("dead-letters");
    args.iter().fold(launch, |launch, arg| launch.arg(arg))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_table_or_json_and_nothing_else_on_standard_output() {
    let cluster =
        letters(&[b"{", &event("evt-1", &["ann"]), br#"{"type":"REFUND","id":"evt-2","userIds":["ann"]}"#]).await;
    let listed = command(&cluster, &["list"]).run(SOON).await;
    assert!(listed.status.success(), "{}", listed.output);
    let lines: Vec<&str> = listed.text().lines().collect();
    assert!(lines[0].starts_with("POSITION  TIME") && lines[0].ends_with("MESSAGE"), "{lines:?}");
    assert!(lines[1].starts_with("0:0 ") && lines[1].contains("not_json  "), "{lines:?}");
    assert!(lines[2].contains("SIGNAL_ACTIVITY_NOTIFICATION/0/2") && lines[2].contains("REFUND  evt-2"), "{lines:?}");
    assert_eq!(
        lines[3..],
        ["", &format!("2 on the topic {DEAD_LETTERS}"), "       1  not_json", "       1  unknown_type"]
    );

    let json = command(&cluster, &["list", "--json", "--reason", "unknown_type", "--from", "0:1"]).run(SOON).await;
    let entry: Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(
        (&entry["reason"], &entry["offset"], &entry["id"]),
        (&"unknown_type".into(), &2.into(), &"evt-2".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_shown_whole_and_its_value_to_the_byte() {
    let value = b"\xff\x00\n{\"a\":1}\r\n";
    let cluster = letters(&[value]).await;
    let shown = command(&cluster, &["show", "0:0"]).run(SOON).await;
    for part in ["reason    not_json", "__connect.errors.offset: 0", "value     12 bytes", "ff 00 0a 7b"] {
        assert!(shown.text().contains(part), "{part}: {}", shown.output);
    }
    let raw = command(&cluster, &["show", "0:0", "--raw"]).run(SOON).await;
    assert_eq!(raw.stdout, value);
    let none = command(&cluster, &["show", "0:7"]).run(SOON).await;
    assert!(!none.status.success() && none.output.contains("no dead letter at 0:7"), "{}", none.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_answers_with_its_status() {
    let cluster = letters(&[b"{"]).await;
    let fixture = Fixture::sqlite().await;
    let retry =
        |args: &[&str]| command(&cluster, &[&["retry"], args].concat()).env("SIGNAL_DATABASE_URL", &fixture.url);
    let failing = retry(&["--all", "--no-push"]).run(SOON).await;
    assert_eq!(failing.status.code(), Some(1), "{}", failing.output);
    assert!(failing.text().starts_with("0:0  SIGNAL_ACTIVITY_NOTIFICATION/0/0  not_json: "), "{}", failing.output);
    assert!(failing.text().contains("\nstill failing  1\n"), "{}", failing.output);
    let nothing = retry(&["--reason", "empty", "--no-push"]).run(SOON).await.expect_success();
    assert!(nothing.contains("selected       0"), "{nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_the_real_one_then_does() {
    let value = event("evt-1", &["gus", "bob"]);
    let cluster = letters(&[&value, &value, b"{"]).await;
    let fixture = Fixture::sqlite().await;
    let retry = |args: &[&str]| {
        command(&cluster, &[&["retry", "--all"], args].concat()).env("SIGNAL_DATABASE_URL", &fixture.url)
    };
    for (args, rows) in [(["--dry-run"], 0), (["--no-push"], 2)] {
        let output = retry(&args).run(SOON).await;
        for said in ["brought in     2", "still failing  1", "2 inserted, 2 already there"] {
            assert!(output.text().contains(said), "{said} in\n{}", output.output);
        }
        assert_eq!(output.text().contains("nothing was written"), rows == 0, "{}", output.output);
        assert_eq!(fixture.count("ActivityNotification").await, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_writes_rows_although_nobody_can_be_pushed_and_says_so() {
    let cluster = letters(&[&event("evt-1", &["gus"])]).await;
    let fixture = Fixture::sqlite().await;
    let retried = command(&cluster, &["retry", "--at", "0:0"])
        .env("SIGNAL_DATABASE_URL", &fixture.url)
        .env("SIGNAL_REDIS_URL", format!("redis://127.0.0.1:{}", free_port()))
        .run(SOON)
        .await;
    assert!(retried.status.success(), "{}", retried.output);
    assert!(retried.text().contains("brought in     1\n"), "{}", retried.output);
    assert!(retried.text().ends_with("pushes were missed: the backplane is away.\n"), "{}", retried.output);
    assert_eq!(fixture.count("ActivityNotification").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_wrong_is_said() {
    let cluster = Cluster::without_topic();
    for (launch, said) in [
        (Service::worker().arg("dead-letters").arg("list"), "not set: SIGNAL_KAFKA_BROKERS"),
        (
            Service::worker().arg("dead-letters").arg("retry").arg("--all"),
            "not set: SIGNAL_KAFKA_BROKERS, SIGNAL_DATABASE_URL, SIGNAL_REDIS_URL or SIGNAL_NATS_URL",
        ),
        (command(&cluster, &["retry", "--all", "--no-push"]), "not set: SIGNAL_DATABASE_URL"),
        (command(&cluster, &["retry"]), "--all"),
        (command(&cluster, &["retry", "--all", "--reason", "empty"]), "cannot be used with"),
        (command(&cluster, &["list", "--reason", "unknown-type"]), "unknown_type"),
        (command(&cluster, &["list", "--from", "yesterday"]), "2026-11-23T08:00:00Z"),
        (command(&cluster, &["show", "7"]), "partition:offset"),
        (command(&cluster, &["list"]), "the topic SIGNAL_ACTIVITY_NOTIFICATION.DLQ does not exist"),
    ] {
        let finished = launch.run(SOON).await;
        assert!(!finished.status.success() && finished.output.contains(said), "{said}: {}", finished.output);
        assert_eq!(finished.text(), "", "{said}");
    }
}

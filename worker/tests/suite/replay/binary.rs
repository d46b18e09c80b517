//! The subcommand as operators meet it: output, exit status, signals.

use std::{fs, path::Path};

use serde_json::Value;
use signal_harness::{Finished, Launch, Service, Signal, eventually, free_port};

use super::{events, names, produce};
use crate::{
    fixture::Fixture,
    kafka::{Cluster, SOON, event},
};

fn replay(cluster: &Cluster, fixture: &Fixture, args: &[&str]) -> Launch {
    let launch = Service::worker()
        .env("SIGNAL_KAFKA_BROKERS", cluster.brokers())
        .env("SIGNAL_DATABASE_URL", &fixture.url)
        .env("SIGNAL_BATCH_SIZE", "10")
        .arg("replay");
    args.iter().fold(launch, |launch, arg| launch.arg(arg))
}

/// The summary, among lines of the log.
fn summary(output: &str) -> Value {
    let summary = output.lines().find(|line| line.contains(r#""alreadyThere""#));
    serde_json::from_str(summary.unwrap_or_else(|| panic!("no summary in\n{output}"))).unwrap()
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_lists_what_the_real_run_writes_and_needs_no_redis() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(2));
    let names = names(0..30);
    produce(&cluster, 2, &names).await;
    cluster.produce([(0, event("both", &["ann", "bob"])), (0, event("both", &["bob", "ann"]))]).await;
    replay(&cluster, &fixture, &["--from", "0:0", "--to", "0:5"]).run(SOON).await.expect_success();
    assert_eq!(events(&fixture).await.len(), 5);

    let dry = replay(&cluster, &fixture, &["--from", "beginning", "--push", "--dry-run", "--list"]).run(SOON).await;
    let output = dry.expect_success();
    assert_eq!(events(&fixture).await.len(), 5);
    let mut listed: Vec<String> = output
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [event, "PAYMENT_SUCCESS", recipient, created_at] = columns[..] else { return None };
            Some(format!("{event} {recipient} {created_at}"))
        })
        .collect();
    assert_eq!(listed.len(), 27, "{output}");
    for said in ["would insert          27", "already there           7", "would push          27"] {
        assert!(output.contains(said), "{said} in\n{output}");
    }

    let json = ["--from", "beginning", "--json"];
    let dry = replay(&cluster, &fixture, &[&json[..], &["--dry-run", "--list"]].concat()).run(SOON).await;
    let output = dry.expect_success();
    let objects = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let objects: Vec<Value> = objects.filter(|object| object["eventId"].is_string()).collect();
    assert_eq!(objects.len(), 27);
    let dry = summary(&output);
    let real = summary(&replay(&cluster, &fixture, &json).run(SOON).await.expect_success());
    for name in ["read", "matched", "inserted", "alreadyThere", "deleted", "failed"] {
        assert_eq!(dry[name], real[name], "{name}");
    }
    assert_eq!((&dry["dryRun"], &real["dryRun"]), (&Value::Bool(true), &Value::Bool(false)));
    let written = r#"SELECT event_id || ' ' || recipient_id || ' ' || created_at FROM "ActivityNotification"
                     WHERE NOT (event_id < 'evt-0010' AND substr(event_id, 8) IN ('0', '2', '4', '6', '8'))"#;
    let mut written = fixture.texts(written).await;
    listed.sort();
    written.sort();
    assert_eq!(listed, written, "row by row, with the time that it got");
}

#[tokio::test]
async fn says_what_is_missing_and_what_is_wrong() {
    let nothing = Service::worker().arg("replay").arg("--from").arg("2h").run(SOON).await;
    let missing = "not set: SIGNAL_KAFKA_BROKERS, SIGNAL_DATABASE_URL\n";
    assert!(!nothing.status.success() && nothing.output.contains(missing), "{}", nothing.output);
    let no_point = Service::worker().arg("replay").run(SOON).await;
    assert_eq!(no_point.status.code(), Some(2));
    assert!(no_point.output.contains("--from"), "{}", no_point.output);

    let (cluster, fixture, empty) = (Cluster::new(1), Fixture::sqlite().await, Fixture::empty_sqlite());
    let expect = |finished: Finished, said: &str| {
        assert_eq!(finished.status.code(), Some(1), "{}", finished.output);
        assert!(finished.output.contains(said), "{said} in\n{}", finished.output);
    };
    let run = async |fixture: &Fixture, args: &[&str]| replay(&cluster, fixture, args).run(SOON).await;
    expect(run(&fixture, &["--from", "2h", "--push"]).await, "not set: SIGNAL_REDIS_URL or SIGNAL_NATS_URL");
    expect(run(&empty, &["--from", "2h"]).await, "the database does not fit");
    expect(run(&fixture, &["--from", "0:1"]).await, "partition 0 ends at 0");
    expect(run(&fixture, &["--from", "2h", "--checkpoint", "no/such/folder"]).await, "can't be written");
    let elsewhere = replay(&cluster, &fixture, &["--from", "2h"]).env("SIGNAL_KAFKA_TOPIC", "elsewhere");
    expect(elsewhere.run(SOON).await, "the topic elsewhere does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_has_a_status_for_loose_ends() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    produce(&cluster, 1, &names(0..3)).await;
    let run = async |args: &[&str]| {
        let nobody = format!("redis://127.0.0.1:{}", free_port());
        let finished = replay(&cluster, &fixture, args).env("SIGNAL_REDIS_URL", nobody).run(SOON).await;
        (finished.status.code(), finished.output)
    };
    assert_eq!(run(&["--from", "0:0", "--strict", "--to", "0:1"]).await.0, Some(0));
    // Rows are written, pushes are missed, and nobody can be told.
    let (status, output) = run(&["--from", "0:0", "--strict", "--push"]).await;
    assert_eq!(status, Some(3), "{output}");
    assert!(output.contains("could not be told") && output.contains("missed           2"), "{output}");
    assert_eq!(events(&fixture).await.len(), 3);

    cluster.produce([(0, b"{".to_vec())]).await;
    assert_eq!(run(&["--from", "0:0"]).await.0, Some(0));
    assert_eq!(run(&["--from", "0:0", "--strict"]).await.0, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_in_order_with_a_status_of_its_own() {
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(1));
    let names = names(0..1200);
    produce(&cluster, 1, &names).await;
    let mut read = 0;
    let mut args: Vec<String> = ["--from", "beginning"].map(str::to_owned).into();
    for (signal, status) in [(Signal::Term, 143), (Signal::Int, 130)] {
        let all: Vec<&str> = args.iter().map(String::as_str).chain(["--rate=100", "--json"]).collect();
        let before = events(&fixture).await.len();
        let running = replay(&cluster, &fixture, &all).spawn();
        running
            .wait_until(SOON, || async {
                let rows = events(&fixture).await.len();
                if rows > before + 10 { Ok(()) } else { Err(format!("{rows} rows")) }
            })
            .await;
        running.signal(signal);
        assert_eq!(running.wait_exit(SOON).await.code(), Some(status), "{}", running.output());
        let summary = eventually(SOON, || async {
            let output = running.output();
            if output.contains(r#""alreadyThere""#) { Ok(summary(&output)) } else { Err(output) }
        })
        .await;
        read += count(&summary, "read");
        assert_eq!((summary["ending"].as_str(), events(&fixture).await.len() as u64), (Some("stopped"), read));
        let command = summary["resume"].as_str().unwrap();
        let range = command.strip_prefix("signal-worker replay ").unwrap().split(' ').take(4);
        args = range.map(str::to_owned).collect();
    }
    let all: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
    let summary = summary(&replay(&cluster, &fixture, &all).run(SOON).await.expect_success());
    assert_eq!(count(&summary, "read") + read, 1200, "nothing twice, nothing left out");
    assert_eq!(events(&fixture).await, names);
}

/// How many offsets a checkpoint says are done.
fn done(file: &Path) -> u64 {
    let text = fs::read(file).unwrap_or_default();
    let Ok(checkpoint) = serde_json::from_slice::<Value>(&text) else { return 0 };
    checkpoint["stretches"].as_array().unwrap().iter().map(|stretch| count(stretch, "next")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_batch_it_goes_on_from_its_checkpoint() {
    const RECORDS: usize = 1200;
    let (fixture, cluster) = (Fixture::sqlite().await, Cluster::new(3));
    let names = names(0..RECORDS);
    produce(&cluster, 3, &names).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("checkpoint");
    let args = ["--from", "beginning", "--json", "--checkpoint", file.to_str().unwrap()];
    let random = u64::from(getrandom::u32().unwrap());
    for at in [1 + random % 100, 120 + random % 200] {
        let running = replay(&cluster, &fixture, &[&args[..], &["--rate", "100"]].concat()).spawn();
        running
            .wait_until(SOON, || async {
                let done = done(&file);
                if done >= at { Ok(()) } else { Err(format!("{done} of {at}")) }
            })
            .await;
        running.kill();
    }
    produce(&cluster, 3, &["later".to_owned()]).await;
    let before = done(&file);
    assert!(before >= 120 && before < RECORDS as u64, "{before}");

    let summary = summary(&replay(&cluster, &fixture, &args).run(SOON).await.expect_success());
    assert_eq!((count(&summary, "doneBefore"), count(&summary, "read")), (before, RECORDS as u64 - before));
    assert_eq!(events(&fixture).await, names, "each once, and nothing that came after it had begun");
    let again = replay(&cluster, &fixture, &["--from", "beginning", "--checkpoint", args[4]]).run(SOON).await;
    assert!(again.expect_success().contains("all of it was done before"));
}

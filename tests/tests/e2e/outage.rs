//! The backplane dies and comes back: nobody is dropped, everybody is told, and what is local goes on.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{PubSub, Service, eventually, require};
use signal_tests::{
    faults::{Size, outage},
    ledger,
    operator::Operator,
};

use crate::{
    crowd::alone,
    platform::{Backplane, policies},
};

const BLIND: Duration = Duration::from_secs(60);

async fn say_to_everybody(operator: &Operator, event: &str) -> Value {
    let answer = operator.ask(Method::POST, "/broadcast", &json!({ "event": event })).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backplane_that_is_killed_under_load_drops_nobody_and_everybody_is_told() {
    require!(PubSub);
    let _turn = alone().await;
    let found = outage::once(Size { clients: 1000, ..Size::QUICK }).await.unwrap();
    println!("outage: {}", found.join("; "));
}

async fn readiness(edge: &Service, expected: u16) -> String {
    eventually(BLIND, || async {
        let ready = edge.health("ready").await.map_err(|error| error.to_string())?;
        if ready.status == expected { Ok(ready.body) } else { Err(format!("{} {}", ready.status, ready.body)) }
    })
    .await
}

/// Frozen, not gone: every socket stays open, and only who listens for itself finds out.
#[tokio::test]
async fn an_edge_that_hears_nothing_says_that_it_is_not_ready_and_serves_whom_it_has() {
    require!(PubSub);
    let backplane = Backplane::with(|edge| edge.env("SIGNAL_DATABASE_URL", policies())).await;
    let Backplane { pubsub, issuer, edge } = &backplane;
    let operator = Operator::new(edge.http_addr(), Some(Operator::token(issuer)));
    let window = backplane.window("an").await;

    pubsub.pause();
    let body: Value = serde_json::from_str(&readiness(edge, 503).await).unwrap();
    let reason = body["components"]["backplane"]["reason"].as_str().unwrap();
    assert!(reason.contains("nothing is heard from the backplane"), "{body}");
    assert_eq!(edge.health("live").await.unwrap().status, 200);
    assert_eq!(say_to_everybody(&operator, "local").await["complete"], false);
    window.wait_for("local", 1).await;

    pubsub.resume();
    readiness(edge, 200).await;
    window.wait_for("resync", 1).await;
    backplane.publish("ws:user:an", ledger::envelope_to_user("an", 1).as_bytes()).await;
    window.wait_for(ledger::EVENT, 1).await;
    let (status, page) = operator.get("").await.map(|answer| (answer.status, answer.body)).unwrap();
    assert_eq!((status, page["data"][0]["id"].as_str()), (200, Some(window.id())), "{page}");
}

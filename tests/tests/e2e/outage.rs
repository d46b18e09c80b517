//! The backplane dies and comes back: nobody is dropped, everybody is told, and what is local goes on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{PubSub, Service, eventually, require};
use signal_tests::{ledger, operator::Operator, sister::Sister};
use tokio::{task::JoinHandle, time::interval};

use crate::{
    crowd::{Crowd, alone, tokens},
    platform::{Backplane, SOON, policies},
};

const CLIENTS: usize = 1000;
/// Of one user, who is pushed to without a pause.
const BUSY: &str = "user-0";
const BETWEEN_PUSHES: Duration = Duration::from_millis(25);
/// So many pushes to one user, then one to everybody.
const BROADCAST_EVERY: u64 = 20;
/// What an operator says while there is no backplane.
const LOCAL: usize = 4;
const BLIND: Duration = Duration::from_secs(60);

/// Pushes without end, whether there is anybody to publish to or not.
fn load(pubsub: &PubSub) -> JoinHandle<()> {
    let url = pubsub.url();
    tokio::spawn(async move {
        let mut ticks = interval(BETWEEN_PUSHES);
        let mut connection = None;
        for number in 0.. {
            ticks.tick().await;
            if connection.is_none() {
                connection = Sister::connect(&url).await.ok();
            }
            let Some(open) = &connection else { continue };
            let (channel, payload) = match number % BROADCAST_EVERY {
                0 => ("ws:broadcast".to_owned(), ledger::envelope(number, "")),
                _ => (format!("ws:user:{BUSY}"), ledger::envelope_to_user(BUSY, number)),
            };
            if open.publish(&channel, payload).await.is_err() {
                connection = None;
            }
        }
    })
}

async fn say_to_everybody(operator: &Operator, event: &str) -> Value {
    let answer = operator.ask(Method::POST, "/broadcast", &json!({ "event": event })).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backplane_that_is_killed_under_load_drops_nobody_and_everybody_is_told() {
    require!(PubSub);
    let _turn = alone().await;
    let backplane = Backplane::with(|edge| edge.env("SIGNAL_DATABASE_URL", policies())).await;
    let Backplane { pubsub, issuer, edge } = &backplane;
    let operator = Operator::new(edge.http_addr(), Some(Operator::token(issuer)));
    let crowd = Crowd::connect(edge.http_addr(), &tokens(issuer, "user", CLIENTS)).await;
    let load = load(pubsub);
    crowd.all("first pushes", |heard| !heard.numbers.is_empty()).await;
    assert_eq!(crowd.count(|heard| heard.count("resync") > 0), 0);

    pubsub.stop().await;
    for said in 1..=LOCAL {
        let answer = say_to_everybody(&operator, "local").await;
        assert_eq!(answer["complete"], false, "the other edges cannot have been told");
        crowd.all("what was said on this edge", |heard| heard.count("local") == said).await;
    }
    let before = last_numbers(&crowd);

    pubsub.start().await;
    let back = Instant::now();
    eventually(SOON, || async { last_numbers(&crowd).iter().zip(&before).any(|(now, before)| now > before) }).await;
    let first_push = back.elapsed();
    crowd.all("told to read again", |heard| heard.count("resync") >= 1).await;
    let all_resynced = back.elapsed();
    let before = last_numbers(&crowd);
    eventually(SOON, || async {
        let reached = last_numbers(&crowd).iter().zip(&before).filter(|(now, before)| now > before).count();
        if reached == CLIENTS { Ok(()) } else { Err(format!("pushes reach {reached} of {CLIENTS} again")) }
    })
    .await;
    load.abort();
    assert!(load.await.is_err_and(|error| error.is_cancelled()), "the load went on to the end");

    crowd.assert_nobody_left();
    assert_eq!(edge.metrics().await.sum("signal_edge_connections", &[]), CLIENTS as f64);
    let resyncs = crowd.ask(|heard| heard.count("resync"));
    let most = resyncs.iter().max().copied().unwrap();
    assert_eq!(most, 1, "one outage is one resync");
    for numbers in crowd.ask(|heard| heard.numbers.clone()) {
        assert!(numbers.is_sorted_by(|earlier, later| earlier < later), "{numbers:?}");
    }
    println!(
        "outage: from {}' first answer to the first push {first_push:?}, to {CLIENTS} resyncs {all_resynced:?}",
        pubsub.name()
    );
}

fn last_numbers(crowd: &Crowd) -> Vec<Option<u64>> {
    crowd.ask(|heard| heard.numbers.last().copied())
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

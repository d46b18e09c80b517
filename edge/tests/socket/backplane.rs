//! A backplane that goes and comes back, on a real Redis.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use signal_bus::{Mode, redis::RedisBus};
use signal_edge::ClusterSettings;
use signal_harness::{Issuer, Redis, eventually, require};
use signal_wire::envelope::Target;

use crate::fixture::{SOON, TestEdge, counted, quick};

async fn edge_on(redis: &Redis) -> TestEdge {
    let bus = Arc::new(RedisBus::new(&redis.url(), Mode::Exact).unwrap());
    let issuer = Issuer::launch().await;
    let url = issuer.jwks_url();
    let cluster = ClusterSettings { blind_after: Duration::from_secs(1), ..quick() };
    TestEdge::start_as(bus, &[], issuer, &url, cluster).await
}

#[tokio::test]
async fn clients_stay_and_are_told_to_read_again_once_it_is_back() {
    require!(Redis);
    let redis = Redis::launch().await;
    let edge = edge_on(&redis).await;
    let (mut an, mut binh) = (edge.client("an").await, edge.client("binh").await);
    edge.say(Target::User("an"), "before", json!(1)).await;
    assert_eq!(an.socket.hear().await["event"], "before");

    redis.stop().await;
    eventually(SOON, || async { !edge.health.is_ready() }).await;
    let reason = edge.health.status("backplane").unwrap().reason.unwrap();
    assert!(!reason.is_empty() && reason != "starting", "{reason}");
    an.socket.settle().await;

    redis.start().await;
    let resync = json!({"event": "resync", "data": {"reason": "backplane"}});
    assert_eq!(an.socket.hear().await, resync);
    assert_eq!(binh.socket.hear().await, resync);
    eventually(SOON, || async { edge.health.is_ready() }).await;
    edge.say(Target::User("an"), "after", json!(1)).await;
    assert_eq!(an.socket.hear().await["event"], "after");
}

#[tokio::test]
async fn connected_waits_for_the_subscription() {
    require!(Redis);
    let redis = Redis::reserved();
    let edge = edge_on(&redis).await;
    let mut socket = edge.open().await;
    socket.offer(&edge.issuer.token("an")).await;
    // Still being checked: the backplane has confirmed nothing.
    socket.offer(&edge.issuer.token("an")).await;
    assert_eq!(socket.hear_error().await, "Already authenticated");
    assert_eq!(edge.edge.connections(), 0);
    redis.start().await;
    socket.accept().await;
    // Said after `connected`, so it is heard.
    edge.say(Target::User("an"), "hello", json!(1)).await;
    assert_eq!(socket.hear().await["event"], "hello");
}

#[tokio::test]
async fn what_an_edge_holds_is_in_its_metrics() {
    let edge = TestEdge::start(&[]).await;
    let _client = edge.client("an").await;
    // Tests in this process share the gauges, and every edge sets them.
    for gauge in ["signal_edge_subscriptions", "signal_edge_users"] {
        eventually(SOON, || async { counted(gauge, &[]) > 0.0 }).await;
    }
}

//! A backplane that goes and comes back, on a real Redis and a real NATS.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use signal_bus::{Bus, Mode, nats::NatsBus, redis::RedisBus};
use signal_edge::ClusterSettings;
use signal_harness::{Issuer, Nats, PubSub, Redis, eventually, require};
use signal_wire::envelope::Target;

use crate::fixture::{SOON, TestEdge, counted, quick};

async fn edge_on(pubsub: &PubSub) -> TestEdge {
    let bus: Arc<dyn Bus> = match pubsub {
        PubSub::Redis(redis) => Arc::new(RedisBus::new(&redis.url(), Mode::Exact).unwrap()),
        PubSub::Nats(nats) => Arc::new(NatsBus::new(&nats.url(), Mode::Exact).unwrap()),
    };
    let issuer = Issuer::launch().await;
    let url = issuer.jwks_url();
    let cluster = ClusterSettings { blind_after: Duration::from_secs(1), ..quick() };
    TestEdge::start_as(bus, &[], issuer, &url, cluster).await
}

#[tokio::test]
async fn clients_stay_and_are_told_to_read_again_once_redis_is_back() {
    require!(Redis);
    stay_and_are_told(PubSub::Redis(Redis::launch().await)).await;
}

#[tokio::test]
async fn clients_stay_and_are_told_to_read_again_once_nats_is_back() {
    require!(Nats);
    stay_and_are_told(PubSub::Nats(Nats::launch().await)).await;
}

async fn stay_and_are_told(pubsub: PubSub) {
    let edge = edge_on(&pubsub).await;
    let (mut an, mut binh) = (edge.client("an").await, edge.client("binh").await);
    edge.say(Target::User("an"), "before", json!(1)).await;
    assert_eq!(an.socket.hear().await["event"], "before");

    pubsub.stop().await;
    eventually(SOON, || async { !edge.health.is_ready() }).await;
    let reason = edge.health.status("backplane").unwrap().reason.unwrap();
    assert!(!reason.is_empty() && reason != "starting", "{reason}");
    an.socket.settle().await;

    pubsub.start().await;
    let resync = json!({"event": "resync", "data": {"reason": "backplane"}});
    assert_eq!(an.socket.hear().await, resync);
    assert_eq!(binh.socket.hear().await, resync);
    eventually(SOON, || async { edge.health.is_ready() }).await;
    edge.say(Target::User("an"), "after", json!(1)).await;
    assert_eq!(an.socket.hear().await["event"], "after");
}

#[tokio::test]
async fn connected_waits_for_the_subscription_on_redis() {
    require!(Redis);
    connected_waits(PubSub::Redis(Redis::reserved())).await;
}

#[tokio::test]
async fn connected_waits_for_the_subscription_on_nats() {
    require!(Nats);
    connected_waits(PubSub::Nats(Nats::reserved())).await;
}

async fn connected_waits(pubsub: PubSub) {
    let edge = edge_on(&pubsub).await;
    let mut socket = edge.open().await;
    socket.offer(&edge.issuer.token("an")).await;
    // Still being checked: the backplane has confirmed nothing.
    socket.offer(&edge.issuer.token("an")).await;
    assert_eq!(socket.hear_error().await, "Already authenticated");
    assert_eq!(edge.edge.connections(), 0);
    pubsub.start().await;
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

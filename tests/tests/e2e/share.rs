//! Of traffic to single people an edge reads what is for its own, and no more: else a fleet would end where one edge does.

use signal_harness::{Issuer, Redis, Service, eventually, require};
use signal_tests::{ledger, sister::Sister, tap::Tap};

use crate::{
    crowd::{Crowd, tokens},
    platform::{SOON, edge},
};

const EDGES: usize = 2;
/// Clients of each edge, each another person.
const EACH: usize = 40;
/// Messages to each of them on each of the channels that are its own.
const ROUNDS: usize = 20;
const PADDING: usize = 256;
/// What must hold.
const MOST: f64 = 0.6;

/// What an edge has read of the traffic, in proportion to all of it.
#[derive(Debug)]
struct Share {
    envelopes: f64,
    bytes: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_two_edges_reads_at_most_sixty_percent_of_the_traffic_to_single_people() {
    require!(Redis);
    let shares = shares("exact", 1).await;
    println!("share: {shares:?}");
    for share in &shares {
        // Half of it each, and no byte beyond but the edges' own talk.
        assert!(share.envelopes <= MOST && share.bytes <= MOST, "{shares:?}");
    }
    let all: f64 = shares.iter().map(|share| share.envelopes).sum();
    assert_eq!(all, 1.0, "nobody reads what another edge has read, and all of it is read");
}

/// The measurement sees what it is to see: an edge that listens to every channel reads everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_subscribes_by_patterns_reads_all_of_it() {
    require!(Redis);
    let shares = shares("pattern", EDGES as u64).await;
    for share in &shares {
        assert!(share.envelopes == 1.0 && share.bytes >= 1.0, "{shares:?}");
    }
}

/// Of each edge, once every message was read as often as it must be.
async fn shares(subscription: &str, readings: u64) -> Vec<Share> {
    let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
    let mut fleet: Vec<(Tap, Service, Crowd)> = Vec::new();
    for number in 0..EDGES {
        let tap = Tap::before(([127, 0, 0, 1], redis.port()).into()).await.unwrap();
        let url = format!("redis://{}", tap.address());
        let edge = edge(&redis, &issuer).env("SIGNAL_REDIS_URL", url).env("SIGNAL_BUS_SUBSCRIPTION", subscription);
        let edge = edge.spawn();
        edge.wait_ready(SOON).await;
        let people: Vec<String> = tokens(&issuer, &format!("at-{number}"), EACH);
        let crowd = Crowd::connect(edge.http_addr(), &people).await;
        fleet.push((tap, edge, crowd));
    }

    let mut before = Vec::new();
    for (tap, edge, _) in &fleet {
        before.push((envelopes_read(edge).await, tap.from_server()));
    }
    let (messages, bytes) = publish(&redis, &fleet).await;
    for (_, _, crowd) in &fleet {
        let complete: Vec<u64> = (0..messages / (EDGES * EACH) as u64).collect();
        crowd.all("have all that is theirs, in order", |heard| heard.numbers == complete).await;
        crowd.assert_nobody_left();
    }
    // An edge that reads everything may have the other's share still before it.
    eventually(SOON, || async {
        let (mut shares, mut all) = (Vec::new(), 0);
        for ((tap, edge, _), (envelopes_before, bytes_before)) in fleet.iter().zip(&before) {
            let envelopes = envelopes_read(edge).await - envelopes_before;
            let read = tap.from_server() - bytes_before;
            all += envelopes;
            shares.push(Share { envelopes: envelopes as f64 / messages as f64, bytes: read as f64 / bytes as f64 });
        }
        if all >= readings * messages { Ok(shares) } else { Err(format!("{shares:?}")) }
    })
    .await
}

async fn envelopes_read(edge: &Service) -> u64 {
    edge.metrics().await.sum("signal_edge_bus_messages_total", &[]) as u64
}

/// To each client by its user, by its id and by its notification room in turn; how many messages that were, and how
/// many bytes Redis sends to somebody who hears all of their channels.
async fn publish(redis: &Redis, fleet: &[(Tap, Service, Crowd)]) -> (u64, u64) {
    let sister = Sister::connect(&redis.url()).await.unwrap();
    let padding = "x".repeat(PADDING);
    let (mut messages, mut bytes) = (0, 0);
    for round in 0..ROUNDS {
        let mut pushes = Vec::new();
        for (_, _, crowd) in fleet {
            for member in &crowd.members {
                let room = format!("signal/notification/{}", member.user);
                let targets = [("user", member.user.as_str()), ("client", &member.id), ("room", &room)];
                for (number, (kind, target)) in targets.into_iter().enumerate() {
                    let number = round * targets.len() + number;
                    let data = format!(r#"{{"number":{number},"padding":"{padding}"}}"#);
                    let envelope = format!(
                        r#"{{"serverId":"emitter","type":"{kind}","target":"{target}","event":"{}","data":{data}}}"#,
                        ledger::EVENT
                    );
                    let channel = format!("ws:{kind}:{target}");
                    messages += 1;
                    bytes += published_bytes(&channel, &envelope);
                    pushes.push((channel, envelope));
                }
            }
        }
        sister.publish_all(pushes).await.unwrap();
    }
    (messages, bytes)
}

/// `*3 $7 message $n channel $m payload`, as RESP writes it.
fn published_bytes(channel: &str, payload: &str) -> u64 {
    let bulk = |text: &str| (1 + text.len().to_string().len() + 2 + text.len() + 2) as u64;
    4 + bulk("message") + bulk(channel) + bulk(payload)
}

//! A cluster: any server does for either end, and another when one dies or leaves.

use signal_bus::{Mode, nats::NatsBus};
use signal_harness::{Nats, NatsCluster, eventually, require};

use crate::{
    behaviour::behaves,
    listener::{Listener, SOON, heard, say},
    server::Broker,
};

fn bus(url: &str) -> NatsBus {
    NatsBus::new(url, Mode::Exact).unwrap()
}

/// A server that confirms a subscription then tells its neighbours of it. Waits until this one was told.
async fn was_told(server: &Nats, subject: &str) {
    let subject = format!("\"{subject}\"");
    eventually(SOON, || async {
        let routes = server.monitor("/routez?subs=1").await?.to_string();
        if routes.contains(&subject) { Ok(()) } else { Err(routes) }
    })
    .await;
}

/// The one that has a connection with a subscription, or one without.
async fn server_with(cluster: &NatsCluster, subscribed: bool) -> &Nats {
    eventually(SOON, || async {
        for server in cluster.servers() {
            let Ok(connections) = server.monitor("/connz?subs=1").await else { continue };
            let Some(connections) = connections["connections"].as_array() else { continue };
            if connections.iter().any(|one| (one["subscriptions"] != 0) == subscribed) {
                return Some(server);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_cluster_behaves_and_outlives_a_server() {
    require!(Nats);
    let cluster = NatsCluster::launch().await;
    let [here, there, _] = cluster.servers() else { panic!("three servers") };
    behaves(&bus(&here.url())).await;

    // Said to one server, heard on another.
    let mut listener = Listener::open(&bus(&here.url())).await;
    listener.acquire(&["across"]).await;
    was_told(there, "across").await;
    let there = bus(&there.url());
    for n in 0..100 {
        say(&there, "across", &n.to_string()).await;
    }
    for n in 0..100 {
        assert_eq!(listener.message().await, heard("across", &n.to_string()));
    }
    drop((listener, there));

    // The server that is listened to dies.
    let bus = bus(&cluster.url());
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["b"]).await;
    let first = server_with(&cluster, true).await;
    first.stop().await;
    let reason = listener.lost().await;
    assert!(first.blames(&reason), "{reason}");
    listener.restored().await;
    let second = server_with(&cluster, true).await;
    for server in cluster.servers().iter().filter(|server| ![first.port(), second.port()].contains(&server.port())) {
        was_told(server, "b").await;
    }
    say(&bus, "b", "again").await;
    assert_eq!(listener.message().await, heard("b", "again"));

    // The server that is published to dies: nothing is refused, since another one takes it at once.
    let publishes_to = server_with(&cluster, false).await;
    publishes_to.stop().await;
    if publishes_to.port() == second.port() {
        listener.lost().await;
        listener.restored().await;
    }
    say(&bus, "b", "elsewhere").await;
    assert_eq!(listener.message().await, heard("b", "elsewhere"));
}

#[tokio::test]
async fn servers_that_are_not_named_are_heard_of() {
    require!(Nats);
    let cluster = NatsCluster::launch().await;
    let [named, others @ ..] = cluster.servers() else { panic!("three servers") };
    let bus = bus(&named.url());
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "before").await;
    assert_eq!(listener.message().await, heard("a", "before"));
    named.stop().await;
    listener.lost().await;
    listener.restored().await;
    for other in others {
        eventually(SOON, || async { other.monitor("/connz").await.map(|_| ()) }).await;
    }
    let here = server_with(&cluster, true).await;
    for other in others.iter().filter(|other| other.port() != here.port()) {
        was_told(other, "a").await;
    }
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

/// A server in lame duck mode lets its clients be for a while. They do not wait for the end of it.
#[tokio::test]
async fn a_server_that_is_about_to_leave_is_left() {
    require!(Nats);
    let cluster = NatsCluster::launch().await;
    let bus = bus(&cluster.url());
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let first = server_with(&cluster, true).await;
    first.leave();
    let reason = listener.lost().await;
    assert_eq!(reason, format!("NATS at 127.0.0.1:{}: it is in lame duck mode", first.port()));
    listener.restored().await;
    let second = server_with(&cluster, true).await;
    assert_ne!(first.port(), second.port());
    for server in cluster.servers().iter().filter(|server| server.port() != second.port()) {
        was_told(server, "a").await;
    }
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

//! Who is let in, and what whoever is let in may do.

use signal_bus::{Bus, BusError, Mode, nats::NatsBus};
use signal_harness::{Nats, require};

use crate::{
    listener::{Listener, heard, publication, say},
    server::Backplane,
};

fn at(server: &Nats, credentials: &str) -> NatsBus {
    NatsBus::new(&format!("nats://{credentials}127.0.0.1:{}", server.port()), Mode::Exact).unwrap()
}

async fn lets_in(server: &Nats, credentials: &str) {
    let bus = at(server, credentials);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}

async fn refuses(server: &Nats, credentials: &str) {
    let bus = at(server, credentials);
    let mut reasons = vec![Listener::begin(&bus).lost().await];
    reasons.push(bus.publish(&[publication("a", "x")]).await.unwrap_err().to_string());
    for reason in reasons {
        let said = format!("NATS at 127.0.0.1:{}: Authorization Violation", server.port());
        assert!(reason.ends_with(&said), "{reason}");
        assert!(!reason.contains("guessed"), "{reason}");
    }
}

#[tokio::test]
async fn with_a_password() {
    require!(Nats);
    let server = Nats::launch_with("authorization { user: edge, password: 'r:g/t@' }").await;
    lets_in(&server, "edge:r:g/t%40@").await;
    refuses(&server, "edge:guessed@").await;
    refuses(&server, "").await;
}

#[tokio::test]
async fn with_a_token() {
    require!(Nats);
    let server = Nats::launch_with("authorization { token: 'right' }").await;
    lets_in(&server, "right@").await;
    refuses(&server, "guessed@").await;
}

#[tokio::test]
async fn what_is_not_allowed_is_named() {
    require!(Nats);
    let permissions = "publish: ['ws.>', 'signal.>'], subscribe: ['ws.>']";
    let user = format!("{{ user: u, password: p, permissions: {{ {permissions} }} }}");
    let server = Nats::launch_with(&format!("authorization {{ users: [{user}] }}")).await;
    let bus = at(&server, "u:p@");
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["ws:room:a"]).await;

    // The rest of what was said is heard, also what another said at the same time.
    let batch = ["ws:room:a", "other", "ws:room:a"].map(|channel| publication(channel, "x"));
    let beside = [publication("ws:room:a", "x")];
    let (refused, taken) = tokio::join!(bus.publish(&batch), bus.publish(&beside));
    taken.unwrap();
    let BusError::Refused(reason) = refused.unwrap_err() else { panic!("it is refused") };
    assert!(server.blames(&reason) && reason.contains("Permissions Violation for Publish to \"other\""), "{reason}");
    for _ in 0..3 {
        assert_eq!(listener.message().await, heard("ws:room:a", "x"));
    }

    // What cannot be subscribed to is not heard, and it is said why.
    let channels = std::sync::Arc::clone(&listener.channels);
    let waiting = tokio::spawn(async move { channels.acquire(vec!["signal:control".to_owned()]).await });
    let reason = listener.lost().await;
    let expected = "Permissions Violation for Subscription to \"signal.control\"";
    assert!(server.blames(&reason) && reason.contains(expected), "{reason}");
    listener.release(&["signal:control"]);
    listener.restored().await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_named_although_it_was_away_first() {
    require!(Nats);
    let server = Nats::reserved_with("authorization { token: 'right' }");
    let mut listener = Listener::begin(&at(&server, "guessed@"));
    let first = listener.lost().await;
    assert!(!first.contains("Authorization"), "{first}");
    server.start().await;
    let then = listener.lost().await;
    assert!(then.ends_with("Authorization Violation"), "{then}");
}

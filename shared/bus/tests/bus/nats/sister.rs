//! A sister service, which has a NATS client and nothing of Signal's. It and Signal know each other's subjects by what
//! docs/protocol.md says.

use futures_util::StreamExt;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use signal_bus::{Bus, Mode, Publication, nats::NatsBus};
use signal_harness::{Nats, require};
use tokio::time::timeout;

use crate::listener::{Listener, SOON, heard, say};

/// The table of docs/protocol.md.
const EXAMPLES: [(&str, &str); 7] = [
    ("ws:broadcast", "ws.broadcast"),
    ("ws:room:signal/notification/u1", "ws.room.signal/notification/u1"),
    ("ws:room:orders:42", "ws.room.orders:42"),
    ("ws:room:", "ws.room.%"),
    ("ws:user:an@example.com", "ws.user.an@example%2Ecom"),
    ("ws:room:Cà Phê 79", "ws.room.C%C3%A0%20Ph%C3%AA%2079"),
    ("ws:client:6f1c2f6e-0f5b-4f0e-9a53-d9f1f7a6a111", "ws.client.6f1c2f6e-0f5b-4f0e-9a53-d9f1f7a6a111"),
];

#[tokio::test]
async fn what_a_sister_service_publishes_is_heard_and_the_other_way_round() {
    require!(Nats);
    let server = Nats::launch().await;
    let sister = async_nats::connect(server.url()).await.unwrap();
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut exact = Listener::open(&bus).await;
    let mut pattern = Listener::open(&NatsBus::new(&server.url(), Mode::Pattern).unwrap()).await;
    let mut all = sister.subscribe("ws.>").await.unwrap();
    sister.flush().await.unwrap();
    exact.acquire(&EXAMPLES.map(|(channel, _)| channel)).await;
    pattern.acquire(&EXAMPLES.map(|(channel, _)| channel)).await;
    for (channel, subject) in EXAMPLES {
        for who in ["sister", "signal"] {
            match who {
                "sister" => sister.publish(subject, who.into()).await.unwrap(),
                _ => say(&bus, channel, who).await,
            }
            assert_eq!(exact.message().await, heard(channel, who));
            assert_eq!(pattern.message().await, heard(channel, who));
            let message = timeout(SOON, all.next()).await.unwrap().unwrap();
            assert_eq!((message.subject.as_str(), &message.payload[..]), (subject, who.as_bytes()));
        }
    }
    // What is no channel's disturbs nobody, nor does what comes with headers.
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("traceparent", "00");
    sister.publish("ws.room.%41", "another spelling".into()).await.unwrap();
    sister.publish_with_headers("ws.room.a", headers, "with headers".into()).await.unwrap();
    sister.flush().await.unwrap();
    assert_eq!(pattern.message().await, heard("ws:room:a", "with headers"));
}

/// Whatever a room is called: what is said there is heard there, in either mode, and nowhere else.
#[test]
fn any_name_goes_through_a_server_and_back() {
    require!(Nats);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, listeners, bus) = runtime.block_on(async {
        let server = Nats::launch().await;
        let bus = |mode| NatsBus::new(&server.url(), mode).unwrap();
        let listeners = [Listener::open(&bus(Mode::Exact)).await, Listener::open(&bus(Mode::Pattern)).await];
        let bus = bus(Mode::Exact);
        (server, listeners, bus)
    });
    // A case is a closure that may be called again, which changes nothing that it was given.
    let listeners = std::cell::RefCell::new(listeners);
    let names = prop::collection::vec(prop_oneof!["[:.%*> a-b]{0,6}", ".{0,30}", any::<String>()], 1..20);
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&names, |rooms| {
        let channels: Vec<_> = rooms.iter().map(|room| format!("ws:room:{room}")).collect();
        let [exact, pattern] = &mut *listeners.borrow_mut();
        runtime.block_on(async {
            let batch = channels.iter().zip(0..);
            let batch: Vec<_> = batch
                .map(|(channel, n)| Publication { channel: channel.clone(), payload: format!("{n}").into() })
                .collect();
            exact.channels.acquire(channels.clone()).await.unwrap();
            bus.publish(&batch).await.unwrap();
            for message in batch {
                let expected = heard(&message.channel, str::from_utf8(&message.payload).unwrap());
                prop_assert_eq!(exact.message().await, expected.clone());
                prop_assert_eq!(pattern.message().await, expected);
            }
            exact.channels.release(channels.clone());
            Ok(())
        })
    });
    drop(server);
    outcome.unwrap();
}

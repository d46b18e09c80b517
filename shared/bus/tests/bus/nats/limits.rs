//! What a server does not take.

use signal_bus::{Bus, BusError, Mode, nats::NatsBus};
use signal_harness::{Nats, eventually, require};

use crate::{
    listener::{Listener, SOON, heard, publication, say},
    server::Backplane,
};

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_disturbs_no_other() {
    require!(Nats);
    let server = Nats::launch_with("max_payload: 1000").await;
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let (most, large) = ("x".repeat(1000), "x".repeat(1001));
    let batch = ["before", &large, &most].map(|payload| publication("a", payload));
    let BusError::Refused(reason) = bus.publish(&batch).await.unwrap_err() else { panic!("it is refused") };
    let expected = "a message may have 1000 bytes (max_payload), this one has 1001";
    assert!(server.blames(&reason) && reason.ends_with(expected), "{reason}");
    assert_eq!(listener.message().await, heard("a", "before"));
    assert_eq!(listener.message().await, heard("a", &most));
}

#[tokio::test]
async fn a_channel_whose_subject_is_too_long_is_refused_and_disturbs_no_other() {
    require!(Nats);
    let server = Nats::launch().await;
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    let (longest, long) = (format!("ws:room:{}", "ü".repeat(665)), format!("ws:room:{}", "ü".repeat(666)));
    listener.acquire(&["a", &longest]).await;
    let refused = listener.channels.acquire(vec!["b".to_owned(), long.clone()]).await.unwrap_err();
    let expected = "a channel's subject may have 4000 bytes, this one has 4004";
    assert!(matches!(&refused, BusError::Refused(reason) if reason == expected), "{refused}");
    let refused = bus.publish(&[publication(&long, "x"), publication(&longest, "x")]).await.unwrap_err();
    assert!(matches!(&refused, BusError::Refused(reason) if reason.ends_with(expected)), "{refused}");
    assert_eq!(listener.message().await, heard(&longest, "x"));
    // It was not held, and letting go of it is nothing.
    assert_eq!(listener.held(), 2);
    listener.release(&[&long]);
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}

#[tokio::test]
async fn a_server_that_asks_whether_anybody_is_there_is_answered() {
    require!(Nats);
    // It leaves whoever has not answered within a second, and asks although something was said meanwhile.
    let server = Nats::launch_with("ping_interval: '1s'\nping_max: 1").await;
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "first").await;
    eventually(SOON, || async {
        let connections = server.monitor("/connz").await?;
        let connections = connections["connections"].as_array().cloned().unwrap_or_default();
        let aged = connections.iter().filter_map(|one| one["uptime"].as_str()?.strip_suffix('s')?.parse().ok());
        let aged = aged.filter(|seconds: &u32| *seconds >= 6).count();
        // The one that hears and the one that publishes.
        if aged == 2 { Ok(()) } else { Err(format!("{connections:?}")) }
    })
    .await;
    say(&bus, "a", "second").await;
    assert_eq!(listener.message().await, heard("a", "first"));
    assert_eq!(listener.message().await, heard("a", "second"));
}

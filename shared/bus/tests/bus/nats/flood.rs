//! More than the hearing end can do: what it does not take waits in the server, and a server that does not wait is an
//! outage.

use bytes::Bytes;
use signal_bus::{Bus, Event, Mode, Publication, nats::NatsBus};
use signal_harness::{Nats, eventually, require};
use tokio::task::JoinSet;

use crate::{
    listener::{AT_LAST, Listener, heard, say},
    server::Broker,
};

/// Says a number on `a` as a sister service: a server makes whoever publishes wait for whoever reads slowly, for longer
/// than Signal would.
async fn say_large(sister: &async_nats::Client, number: usize, size: usize) {
    let mut payload = number.to_string().into_bytes();
    payload.resize(size, b' ');
    sister.publish("a", Bytes::from(payload)).await.unwrap();
    sister.flush().await.unwrap();
}

fn number(event: &Event) -> usize {
    let Event::Message(message) = event else { panic!("{event:?}") };
    str::from_utf8(&message.payload).unwrap().trim_end().parse().unwrap()
}

#[tokio::test]
async fn what_is_not_taken_waits_in_the_server_and_comes_in_order() {
    const MESSAGES: usize = 1800;
    const SIZE: usize = 16 * 1024;
    require!(Nats);
    // Half of 64 MiB, which is what a server keeps for a client: beyond that it would slow down who publishes.
    const { assert!(MESSAGES * SIZE < 32 * 1024 * 1024) };
    let server = Nats::launch_with("write_deadline: '60s'").await;
    let sister = async_nats::connect(server.url()).await.unwrap();
    let mut listener = Listener::open(&NatsBus::new(&server.url(), Mode::Exact).unwrap()).await;
    listener.acquire(&["a"]).await;
    for number in 0..MESSAGES {
        say_large(&sister, number, SIZE).await;
    }
    let pending = async || {
        let connections = server.monitor("/connz").await.unwrap();
        let bytes = |one: &serde_json::Value| one["pending_bytes"].as_u64().unwrap();
        connections["connections"].as_array().unwrap().iter().map(bytes).sum::<u64>()
    };
    // The rest is in the sockets' buffers, and a little of it here.
    let waits = eventually(AT_LAST, async || Some(pending().await).filter(|bytes| *bytes > 0)).await;
    assert!(waits > 4 * 1024 * 1024, "{waits}");
    // Longer than it takes to notice a server that says nothing. This one would say something.
    eventually(AT_LAST, async || {
        let connections = server.monitor("/connz").await?;
        let waiting = |one: &&serde_json::Value| one["pending_bytes"] != 0;
        let since = connections["connections"].as_array().unwrap().iter().find(waiting).ok_or("nothing waits")?;
        let since = since["uptime"].as_str().unwrap().to_owned();
        if since.trim_end_matches('s').parse::<u32>().is_ok_and(|seconds| seconds >= 8) { Ok(()) } else { Err(since) }
    })
    .await;
    for expected in 0..MESSAGES {
        assert_eq!(number(&listener.next().await), expected);
    }
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_an_outage() {
    const SIZE: usize = 512 * 1024;
    require!(Nats);
    let server = Nats::launch_with("max_pending: 2097152").await;
    let sister = async_nats::connect(server.url()).await.unwrap();
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    // Until the server has had enough of who does not read.
    let mut said = 0;
    while server.monitor("/varz").await.unwrap()["slow_consumers"] == 0 {
        say_large(&sister, said, SIZE).await;
        said += 1;
    }
    let mut heard_in_order = 0;
    let reason = loop {
        match listener.next().await {
            Event::Lost { reason } => break reason,
            message => {
                assert_eq!(number(&message), heard_in_order);
                heard_in_order += 1;
            }
        }
    };
    assert!(heard_in_order < said && server.blames(&reason), "{reason}");
    listener.restored().await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

/// What was said to a room and then to a person in it is heard in that order, on however many channels it is said.
#[tokio::test]
async fn messages_on_many_channels_come_in_one_order() {
    const CHANNELS: usize = 500;
    const MESSAGES: usize = 20_000;
    require!(Nats);
    let server = Nats::launch().await;
    let bus = NatsBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    let names: Vec<_> = (0..CHANNELS).map(|n| format!("ws:user:{n}")).collect();
    listener.channels.acquire(names.clone()).await.unwrap();
    let mut saying = JoinSet::new();
    let (from, channels) = (bus.clone(), names.clone());
    saying.spawn(async move {
        let mut batch = Vec::new();
        for number in 0..MESSAGES {
            // Far apart, so that neighbours are never on one channel.
            let channel = channels[number * 197 % CHANNELS].clone();
            batch.push(Publication { channel, payload: Bytes::from(number.to_string()) });
            if batch.len() > number % 300 {
                from.publish(&std::mem::take(&mut batch)).await.unwrap();
            }
        }
        from.publish(&batch).await.unwrap();
    });
    for number in 0..MESSAGES {
        assert_eq!(listener.message().await, heard(&names[number * 197 % CHANNELS], &number.to_string()));
    }
    saying.join_next().await.unwrap().unwrap();
}

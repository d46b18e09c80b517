//! Two backplanes that are heard together while a fleet moves.

use std::sync::Arc;

use signal_bus::{Bus, Event, Mode, memory::MemoryBus, redis::RedisBus, tandem::Tandem};
use signal_harness::{Redis, require};

use crate::{
    behaviour::behaves,
    listener::{Listener, heard, say},
};

fn redis(server: &Redis) -> Arc<dyn Bus> {
    Arc::new(RedisBus::new(&server.url(), Mode::Exact).unwrap())
}

#[tokio::test]
async fn two_behave_as_one() {
    require!(Redis);
    let (one, other) = (Redis::launch().await, Redis::launch().await);
    behaves(&Tandem::new(redis(&one), redis(&other))).await;
    behaves(&Tandem::new(redis(&one), Arc::new(MemoryBus::new()))).await;
}

#[tokio::test]
async fn what_is_said_on_either_is_heard_once() {
    require!(Redis);
    let (one, other) = (Redis::launch().await, Redis::launch().await);
    // A fleet in the middle of its move: some say things here and some there, and both kinds hear all of it.
    let here = Tandem::new(redis(&one), redis(&other));
    let there = Tandem::new(redis(&other), redis(&one));
    let mut listeners = [Listener::open(&here).await, Listener::open(&there).await];
    for listener in &listeners {
        listener.acquire(&["a"]).await;
    }
    let old: Arc<dyn Bus> = redis(&one);
    let new: Arc<dyn Bus> = redis(&other);
    for (number, bus) in [&here as &dyn Bus, &there, &*old, &*new].into_iter().enumerate() {
        say(bus, "a", &number.to_string()).await;
        for listener in &mut listeners {
            assert_eq!(listener.message().await, heard("a", &number.to_string()));
        }
    }
}

#[tokio::test]
async fn it_is_there_while_both_are() {
    require!(Redis);
    let (one, other) = (Redis::launch().await, Redis::launch().await);
    let bus = Tandem::new(redis(&one), redis(&other));
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    other.stop().await;
    let reason = listener.lost().await;
    assert!(reason.contains(&other.port().to_string()), "{reason}");
    // The other one goes on, and that both are gone is the same outage.
    say(&bus, "a", "meanwhile").await;
    assert_eq!(listener.message().await, heard("a", "meanwhile"));
    one.stop().await;
    assert!(bus.publish(&[crate::listener::publication("a", "nobody there")]).await.is_err());
    other.start().await;
    say(&*redis(&other), "a", "not to be counted on").await;
    one.start().await;
    // Both have confirmed it, and so heard of everything before.
    listener.acquire(&["b"]).await;
    let mut standing = None;
    for server in [&one, &other] {
        say(&*redis(server), "a", "after").await;
        loop {
            match listener.next().await {
                Event::Message(message) if message.payload == "after" => break,
                Event::Message(_) => {}
                // The first server may be missed only after the second has come back, which is two outages.
                other => standing = Some(other),
            }
        }
    }
    while standing != Some(Event::Restored) {
        standing = Some(listener.next().await);
    }
}

//! Hearing everybody's channels, as the service before did.

use signal_bus::Mode;

use crate::{
    listener::{Listener, heard, say},
    server::{Broker, on_each},
};

on_each!(patterns_hear_everybodys_channels, other_channels_are_held_one_by_one);

async fn patterns_hear_everybodys_channels<B: Broker>() {
    let server = B::launch().await;
    let bus = &*server.bus(Mode::Pattern);
    let mut listener = Listener::open(bus).await;
    listener.acquire(&["ws:user:an", "ws:broadcast"]).await;
    for channel in
        ["ws:user:binh", "ws:user:an", "ws:room:a", "ws:room:", "ws:room:a.b:c/ü *", "ws:client:b", "ws:broadcast"]
    {
        say(bus, channel, "x").await;
        // Once, whether it is held or not.
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
    listener.release(&["ws:user:an", "ws:broadcast"]);
    for channel in ["ws:user:an", "ws:broadcast"] {
        say(bus, channel, "still").await;
        assert_eq!(listener.message().await, heard(channel, "still"));
    }
}

async fn other_channels_are_held_one_by_one<B: Broker>() {
    let server = B::launch().await;
    let bus = &*server.bus(Mode::Pattern);
    let mut listener = Listener::open(bus).await;
    listener.acquire(&["signal:control", "signal:control:reply:1", "ws:user:an"]).await;
    say(bus, "signal:control:reply:2", "somebody else's").await;
    for channel in ["signal:control", "signal:control:reply:1"] {
        say(bus, channel, "x").await;
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
    listener.release(&["signal:control:reply:1"]);
    // Confirmed after the release, so the release has happened.
    listener.acquire(&["signal:control:reply:3"]).await;
    say(bus, "signal:control:reply:1", "gone").await;
    say(bus, "signal:control:reply:3", "x").await;
    assert_eq!(listener.message().await, heard("signal:control:reply:3", "x"));

    server.stop().await;
    listener.lost().await;
    server.start().await;
    listener.restored().await;
    for channel in ["signal:control", "ws:user:binh"] {
        say(bus, channel, "after").await;
        assert_eq!(listener.message().await, heard(channel, "after"));
    }
}

//! Channels that are held for a moment, by many at once: what management requests do.

use std::{collections::BTreeSet, sync::Arc};

use signal_bus::Mode;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    listener::{Listener, SOON, heard, publication, say},
    server::{Broker, on_each},
};

on_each!(many_acquire_at_once, what_is_said_while_a_channel_is_held_is_heard, with_patterns_too);

async fn many_acquire_at_once<B: Broker>() {
    let server = B::launch().await;
    let bus = &*server.bus(Mode::Exact);
    let mut listener = Listener::open(bus).await;
    let waiting: Vec<_> = (0..500)
        .map(|n| {
            let (channels, names) = (Arc::clone(&listener.channels), vec![format!("c{n}"), "shared".to_owned()]);
            tokio::spawn(async move { channels.acquire(names).await })
        })
        .collect();
    for (n, acquired) in waiting.into_iter().enumerate() {
        timeout(SOON, acquired).await.expect("never confirmed").unwrap().unwrap();
        say(bus, &format!("c{n}"), "x").await;
        assert_eq!(listener.message().await, heard(&format!("c{n}"), "x"));
    }
    for _ in 0..499 {
        listener.release(&["shared"]);
    }
    listener.acquire(&["end"]).await;
    say(bus, "shared", "last holder").await;
    assert_eq!(listener.message().await, heard("shared", "last holder"));
}

/// Each of many tasks holds a channel of its own and one that comes and goes with the others' turns, and hears what is
/// said on both while it holds them.
async fn come_and_go<B: Broker>(mode: Mode) {
    const TASKS: usize = 20;
    const TURNS: usize = 50;
    let server = B::launch().await;
    let bus = server.bus(mode);
    let mut listener = Listener::open(&*bus).await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (bus, channels) = (Arc::clone(&bus), Arc::clone(&listener.channels));
        tasks.spawn(async move {
            for turn in 0..TURNS {
                let (own, shared) = (format!("signal:control:reply:{task}-{turn}"), format!("shared:{}", turn % 3));
                let names = vec![own.clone(), shared.clone()];
                channels.acquire(names.clone()).await.unwrap();
                let id = format!("{task}-{turn}");
                bus.publish(&[publication(&own, &id), publication(&shared, &id)]).await.unwrap();
                channels.release(names);
            }
        });
    }
    let mut missing: BTreeSet<(usize, usize, bool)> = (0..TASKS)
        .flat_map(|task| (0..TURNS).flat_map(move |turn| [(task, turn, false), (task, turn, true)]))
        .collect();
    while !missing.is_empty() {
        let (channel, id) = listener.message().await;
        let (task, turn) = id.split_once('-').unwrap();
        let shared = channel.starts_with("shared:");
        assert!(missing.remove(&(task.parse().unwrap(), turn.parse().unwrap(), shared)), "{channel} {id} twice");
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    // Confirmed after all releases.
    listener.acquire(&["end"]).await;
    let mut subscribed = server.subscribed().await;
    subscribed.retain(|channel| channel != "ws:broadcast");
    assert_eq!(subscribed, ["end"]);
}

async fn what_is_said_while_a_channel_is_held_is_heard<B: Broker>() {
    come_and_go::<B>(Mode::Exact).await;
}

async fn with_patterns_too<B: Broker>() {
    come_and_go::<B>(Mode::Pattern).await;
}

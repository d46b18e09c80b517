//! An edge that is told to stop: everybody is told when to leave, leaves, and misses nothing.

use std::time::{Duration, Instant};

use signal_harness::{PubSub, Signal, require};
use signal_tests::{
    faults::{Size, drain},
    figures::unevenness,
};

use crate::{
    crowd::{Crowd, Ended, alone, tokens},
    platform::Backplane,
};

const CLIENTS: usize = 1500;
const WINDOW: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_to_leave_evenly_over_the_window_and_who_stays_is_closed() {
    require!(PubSub);
    let _turn = alone().await;
    let backplane = Backplane::with(|edge| drain::draining(edge, WINDOW)).await;
    let crowd = Crowd::connect(backplane.edge.http_addr(), &tokens(&backplane.issuer, "user", CLIENTS)).await.unwrap();

    backplane.edge.signal(Signal::Term);
    let told_to_stop = Instant::now();
    crowd.all("told when to leave", |heard| heard.announced_ms.is_some()).await;
    // These do not know `reconnect`, as clients of old: they are closed when their time is over.
    crowd.all("closed", |heard| heard.ended == Some(Ended::Closed(1001))).await;
    drain::drains(&backplane.edge, told_to_stop, WINDOW).await.unwrap();

    let delays: Vec<u64> = crowd.ask(|heard| heard.announced_ms).into_iter().flatten().collect();
    let window_ms = WINDOW.as_millis() as u64;
    assert_eq!(crowd.count(|heard| heard.count("reconnect") == 1), CLIENTS);
    assert!(delays.iter().all(|delay| *delay <= window_ms), "{:?}", delays.iter().max());
    let unevenness = unevenness(&delays, window_ms, 20);
    assert!(unevenness <= 1.5, "the fullest twentieth of the window has {unevenness:.2} times its share");
    println!("drain: the fullest twentieth of the window has {unevenness:.2} times its share");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_a_stopped_edge_come_to_another_and_miss_nothing() {
    require!(PubSub);
    let _turn = alone().await;
    let found = drain::play(Size { clients: CLIENTS, drain_window: WINDOW, ..Size::QUICK }).await.unwrap();
    println!("drain: {}", found.join("; "));
}

//! Clients that stop reading are sent away, and nobody else notices.

use futures_util::future::join_all;
use signal_harness::{PubSub, eventually, require};
use signal_tests::{
    ledger,
    sister::Sister,
    stalled::{self, how_it_ended},
};

use crate::{
    crowd::{Crowd, MANY_SOON, alone, tokens},
    platform::Backplane,
};

const READERS: usize = 100;
const STALLED: usize = 1000;
const OUTBOUND_LIMIT_KIB: u64 = 64;
/// Together a thousand clients keep far more than what may be left over when they are gone.
const ALLOWANCE_KIB: u64 = STALLED as u64 * OUTBOUND_LIMIT_KIB / 4;
const PADDING: usize = 16 * 1024;
/// Far more than fit into a connection on which nobody reads.
const MOST_MESSAGES: u64 = 1000;

struct Scene {
    backplane: Backplane,
    sister: Sister,
    readers: Crowd,
    sent: u64,
}

impl Scene {
    /// Publishes one message to everybody and waits until each of those who read has it.
    async fn broadcast(&mut self, padding: usize) {
        let envelope = ledger::envelope(self.sent, &"x".repeat(padding));
        self.sister.publish("ws:broadcast", envelope).await.unwrap();
        self.sent += 1;
        let sent = self.sent as usize;
        self.readers.all("whoever reads has the message", |heard| heard.numbers.len() == sent).await;
    }

    async fn closed_as_too_slow(&self) -> f64 {
        self.backplane.edge.metrics().await.sum("signal_edge_closes_total", &[("code", "4008")])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_stop_reading_are_closed_and_leave_nothing_behind() {
    require!(PubSub);
    let _turn = alone().await;
    let backplane = Backplane::with(|edge| {
        edge.env("SIGNAL_OUTBOUND_LIMIT", format!("{OUTBOUND_LIMIT_KIB}KiB")).env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s")
    })
    .await;
    let addr = backplane.edge.http_addr();
    let readers = Crowd::connect(addr, &tokens(&backplane.issuer, "reader", READERS)).await;
    let sister = Sister::connect(&backplane.pubsub.url()).await.unwrap();
    let mut scene = Scene { backplane, sister, readers, sent: 0 };
    for _ in 0..3 {
        scene.broadcast(PADDING).await;
    }
    let files_before = scene.backplane.edge.open_files();
    let stalled = stalled::open(addr, &tokens(&scene.backplane.issuer, "stalled", STALLED)).await.unwrap();
    let memory_before = scene.backplane.edge.rss_kib();
    let mut most_memory = memory_before;

    while scene.closed_as_too_slow().await < STALLED as f64 {
        assert!(scene.sent < MOST_MESSAGES, "{} closed", scene.closed_as_too_slow().await);
        scene.broadcast(PADDING).await;
        most_memory = most_memory.max(scene.backplane.edge.rss_kib());
    }
    assert_eq!(scene.closed_as_too_slow().await, STALLED as f64, "and nobody but they");

    // Reading at last, they hear why; whoever comes too late finds the connection cut.
    let ended = join_all(stalled.into_iter().map(how_it_ended)).await;
    let told = ended.iter().filter(|code| **code == Some(4008)).count();
    let cut = ended.iter().filter(|code| code.is_none()).count();
    assert_eq!(told + cut, STALLED, "{ended:?}");

    scene.readers.assert_nobody_left();
    let expected: Vec<u64> = (0..scene.sent).collect();
    assert!(scene.readers.ask(|heard| heard.numbers == expected).into_iter().all(|in_order| in_order));

    let edge = &scene.backplane.edge;
    eventually(MANY_SOON, || async {
        let (clients, files) = (edge.metrics().await.sum("signal_edge_connections", &[]), edge.open_files());
        if clients == READERS as f64 && files <= files_before {
            Ok(())
        } else {
            Err(format!("{clients} clients, {files} files, before {files_before}"))
        }
    })
    .await;
    // The allocator gives back what it does not need as time goes by, and on occasion of other work.
    eventually(MANY_SOON, || {
        let ticking = edge.health("live");
        async move {
            ticking.await.map_err(|error| error.to_string())?;
            let memory = edge.rss_kib();
            let limit = memory_before + ALLOWANCE_KIB;
            if memory <= limit { Ok(()) } else { Err(format!("{memory} KiB, {memory_before} before")) }
        }
    })
    .await;
    println!(
        "slow readers: {} messages; {told} heard 4008, {cut} were cut; memory {memory_before} KiB before, at most \
         {most_memory}, {} after",
        scene.sent,
        edge.rss_kib()
    );
    scene.broadcast(0).await;
}

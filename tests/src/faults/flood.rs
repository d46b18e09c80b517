//! Sockets that want nothing: silent, a byte at a time, upgraded and nobody, half-open. Whoever means it is served.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use signal_client::{Endpoint, Session};
use signal_harness::{Chaos, Service, eventually};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::sleep};

use super::{
    Findings, Size,
    outage::fence,
    scene::{PACE, Scene, mib, nobody_was_dropped, nothing_is_missing, seconds},
};
use crate::{figures::quantile, ledger::Traffic};

/// Connections that may be nobody at a time: few, so that the flood has all of them.
const PLACES: usize = 256;
/// What each of them may cost: two buffers of a request's head, and a task.
const PLACE_KIB: u64 = 64;
/// Whoever makes room has five seconds to leave, and a place is free again after a second at the earliest.
const LEAVING: usize = 6;
const NEWCOMERS: usize = 20;
const HEALTHY: usize = 200;
const BETWEEN_BYTES: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Silent,
    SlowHeaders,
    NeverAuthenticates,
    HalfOpen,
}

/// # Errors
/// If memory grows with the flood, somebody is dropped or misses a message, or nobody new is let in.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let edge = scene.edge().env("SIGNAL_MAX_HANDSHAKES", PLACES.to_string()).spawn();
    edge.wait_ready(size.within).await;
    let chaos = Chaos::before(edge.http_addr());
    let people = scene.people(edge.http_addr(), "user", HEALTHY).await?;
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "first messages", |person| person.knows_all(2)).await;
    let (files, memory) = (edge.open_files(), edge.rss_kib());
    let mut findings = Vec::new();
    for kind in [Kind::Silent, Kind::SlowHeaders, Kind::NeverAuthenticates, Kind::HalfOpen] {
        let at = if matches!(kind, Kind::HalfOpen) { chaos.addr() } else { edge.http_addr() };
        let mut flood = JoinSet::new();
        for _ in 0..size.flood / 4 {
            flood.spawn(bother(at, kind));
        }
        if matches!(kind, Kind::HalfOpen) {
            eventually(size.within, || async { chaos.carried(signal_harness::Way::There) > 0 }).await;
            chaos.strand();
        }
        let waits = newcomers(&scene, &edge, size.within).await?;
        ensure!(edge.open_files() <= files + PLACES * LEAVING + NEWCOMERS, "{} open files", edge.open_files());
        findings.push(format!("{kind:?}: a newcomer waits {} at most", seconds(waits)));
        flood.shutdown().await;
        chaos.reset();
    }
    let most = edge.peak_rss_kib();
    let bound = memory + PLACES as u64 * PLACE_KIB;
    ensure!(most <= bound, "{} at most, {} before", mib(most), mib(memory));
    let samples = edge.metrics().await;
    let silenced = samples.sum("signal_edge_not_admitted_total", &[("limit", "silent")]);
    ensure!(silenced > 0.0, "nobody had to make room");
    // Over at last, all that they held is given back.
    eventually(size.within, || async {
        let now = edge.open_files();
        if now <= files + 4 { Ok(()) } else { Err(format!("{now} open files, {files} before")) }
    })
    .await;
    traffic.end().await;
    fence(&scene).await?;
    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    nobody_was_dropped(&people)?;
    findings.insert(0, format!("{} sockets of each kind, room for {PLACES}", size.flood / 4));
    findings.push(format!("{silenced} made room; memory {} before, {} at most", mib(memory), mib(most)));
    findings.push(format!("{HEALTHY} clients have all {} messages", scene.ledger.len()));
    Ok(findings)
}

/// Comes again and again, as long as it is let in at all.
async fn bother(at: SocketAddr, kind: Kind) {
    const UPGRADE: &[u8] = b"GET /stream HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    loop {
        let Ok(mut socket) = TcpStream::connect(at).await else {
            sleep(BETWEEN_BYTES).await;
            continue;
        };
        let said: &[u8] = if matches!(kind, Kind::Silent) { b"" } else { UPGRADE };
        let at_once = if matches!(kind, Kind::SlowHeaders) { 1 } else { said.len().max(1) };
        for piece in said.chunks(at_once) {
            if socket.write_all(piece).await.is_err() {
                break;
            }
            if at_once == 1 {
                sleep(BETWEEN_BYTES).await;
            }
        }
        // Until it is sent away.
        let mut answer = [0; 1024];
        while tokio::io::AsyncReadExt::read(&mut socket, &mut answer).await.is_ok_and(|read| read > 0) {}
    }
}

/// How long the slowest of some newcomers takes to be somebody.
async fn newcomers(scene: &Scene, edge: &Service, within: Duration) -> anyhow::Result<Duration> {
    let endpoint = Endpoint::new(&format!("ws://{}/stream", edge.http_addr()))?;
    let endpoint = endpoint.open_timeout(within).handshake_timeout(within);
    let mut waits = Vec::new();
    for token in scene.tokens("newcomer", NEWCOMERS) {
        let began = Instant::now();
        // Who is slow to say who it is may have to make room as well, and comes again, as an SDK does.
        eventually(within, || async { Session::open(&endpoint, &token).await.map(drop) }).await;
        waits.push(began.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(quantile(&mut waits, 1.0)))
}

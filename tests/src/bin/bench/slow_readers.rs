//! What clients that stop reading do to those who read: the same audience and the same messages, without and with them.

use anyhow::ensure;
use signal_client::Session;
use signal_tests::{figures::quantile, stalled};
use signal_wire::protocol::Protocol;
use tokio::task::JoinSet;

use crate::{
    Options,
    crowd::Crowd,
    report::{Figure, Report, progress},
    scene::Scene,
};

const READERS: usize = 100;
const OTHERS: usize = 1000;
const PADDING: usize = 4096;
/// Twice what may wait for one client, and what its socket holds.
const MESSAGES: usize = 500;
const TURNS: usize = 3;

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = Scene::up(options.backplane).await?;
    let tokens = scene.tokens(READERS + OTHERS);
    let (readers, others) = tokens.split_at(READERS);
    let crowd = Crowd::connect(scene.edge.http_addr(), readers, Protocol::V2).await?;
    crowd.time();

    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=options.pairs.min(TURNS) {
        progress(&format!("clients that do not read, turn {turn} of {}", options.pairs.min(TURNS)));
        let mut reading = JoinSet::new();
        for session in stalled::open(scene.edge.http_addr(), others).await? {
            reading.spawn(read_away(session));
        }
        let all_read = broadcasts(&scene, &crowd).await?;
        reading.shutdown().await;

        let closed_before = too_slow(&scene).await;
        let stalled = stalled::open(scene.edge.http_addr(), others).await?;
        let some_stall = broadcasts(&scene, &crowd).await?;
        let closed = too_slow(&scene).await - closed_before;
        ensure!(closed == OTHERS as f64, "{closed} of {OTHERS} were closed with 4008");
        drop(stalled);
        without.push(all_read);
        with.push(some_stall);
        ratios.push(some_stall / all_read);
    }
    let title = format!("broadcast to {READERS} + {OTHERS} who read, p99 of the {READERS}, ms");
    report.add(Figure::new("readers_p99_ms", &title).many(without));
    report.add(Figure::new("readers_p99_stalled_ms", "  the thousand do not read, ms").many(with));
    report.add(Figure::new("readers_p99_ratio", "  ratio").many(ratios).bounds(1.5, 1.1));
    crowd.leave().await;
    Ok(())
}

async fn broadcasts(scene: &Scene, crowd: &Crowd) -> anyhow::Result<f64> {
    crowd.latencies_ms()?;
    for _ in 0..MESSAGES {
        scene.broadcast_large(crowd, PADDING).await?;
    }
    Ok(quantile(&mut crowd.latencies_ms()?, 0.99))
}

async fn too_slow(scene: &Scene) -> f64 {
    scene.edge.metrics().await.sum("signal_edge_closes_total", &[("code", "4008")])
}

/// Takes what comes, without opening it.
async fn read_away(session: Session) {
    let (mut reader, _writer) = session.into_split();
    while reader.receive_raw().await.is_ok() {}
}

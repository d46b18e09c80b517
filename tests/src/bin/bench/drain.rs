//! The rate at which the clients of a stopped edge come to another.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use signal_harness::{Signal, eventually};
use signal_tests::{balancer::Balancer, figures::most_within, healing::Population, ledger::Ledger};

use crate::{
    Options,
    report::{Figure, Report, progress},
    scene::Scene,
};

/// The edge's own default.
const WINDOW: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_secs(30);
const BACK: Duration = Duration::from_secs(60);

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    progress(&format!("{} clients of an edge that stops", options.draining));
    let scene = Scene::up(options.backplane).await?;
    let first = scene.another(|edge| edge.env("SIGNAL_LOG", "info")).await;
    let (balancer, ledger) = (Balancer::default(), Ledger::default());
    balancer.add(first.http_addr());
    balancer.add(scene.edge.http_addr());
    let people = Population::gather(scene.tokens(options.draining), &balancer, &ledger).await?;

    first.signal(Signal::Term);
    let told = Instant::now();
    let status = first.wait_exit(2 * DEADLINE).await;
    let took = told.elapsed();
    ensure!(status.success(), "{status}\n{}", first.output());
    eventually(BACK, || async {
        let back = people.count(|person| person.sessions >= 2);
        if back == people.len() { Ok(()) } else { Err(format!("{back} of {} are back", people.len())) }
    })
    .await;
    let complaints = people.complaints();
    ensure!(complaints.is_empty(), "{complaints:?}");

    let mut opened = balancer.opened(scene.edge.http_addr());
    let most = most_within(&mut opened, Duration::from_secs(1)) as f64;
    let even = options.draining as f64 / WINDOW.as_secs_f64();
    let first_to_last = opened.last().zip(opened.first()).map(|(last, first)| *last - *first).context("nobody came")?;
    progress(&format!("they came within {first_to_last:?}"));
    let title = format!("{} clients of a stopped edge: exit after, s", options.draining);
    report.add(Figure::new("drain_exit_s", &title).one(took.as_secs_f64()).bounds(DEADLINE.as_secs_f64(), 25.0));
    let title = "  most connections in a second, of the even rate";
    report.add(Figure::new("drain_peak_ratio", title).one(most / even).bounds(1.5, 1.2));
    Ok(())
}

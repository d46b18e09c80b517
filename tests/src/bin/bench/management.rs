//! What operators' requests do to the people who are pushed to: the same pushes without and with them, in turns.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context, ensure};
use signal_tests::{figures::quantile, operator::Operator};
use signal_wire::protocol::Protocol;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Options,
    crowd::{Crowd, sessions},
    report::{Figure, Report, progress},
    scene::Scene,
};

/// Pushes of one measurement, and how often one is made, whether the one before has arrived or not.
const PUSHES: usize = 1500;
const BETWEEN_PUSHES: Duration = Duration::from_millis(2);
/// 200 a second.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(5);
/// More in flight mean that the API does not keep up.
const IN_FLIGHT: usize = 100;

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = Scene::up(options.backplane).await?;
    let second = scene.another(|edge| edge).await;
    let tokens = scene.tokens(2 * options.clients);
    let (here, there) = tokens.split_at(options.clients);
    let crowd = Crowd::connect(scene.edge.http_addr(), here, Protocol::V2).await?;
    let elsewhere = sessions(second.http_addr(), there, Protocol::V2).await?;
    let operators = [scene.operator(&scene.edge, 2).await?, scene.operator(&second, 2).await?];
    let load = Load { operators, client: elsewhere[0].connected().client_id.clone() };
    crowd.time();
    pushes(&scene, &crowd).await?;

    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=options.pairs {
        progress(&format!("pushes without and with requests, turn {pair} of {}", options.pairs));
        let quiet = pushes(&scene, &crowd).await?;
        let mut requests = tokio::spawn(load.clone().run());
        let busy = tokio::select! {
            busy = pushes(&scene, &crowd) => busy?,
            ended = &mut requests => match ended.context("the load has panicked")?? {},
        };
        requests.abort();
        without.push(quiet);
        with.push(busy);
        ratios.push(busy / quiet);
    }
    report.add(Figure::new("push_p99_ms", "push to one user, p99, ms").many(without));
    report.add(Figure::new("push_p99_managed_ms", "  with 200 management requests a second, ms").many(with));
    report.add(Figure::new("push_p99_managed_ratio", "  ratio").many(ratios).bounds(2.0, 1.2));
    crowd.leave().await;
    Ok(())
}

/// Pushes at an even pace, and returns their p99 in milliseconds.
async fn pushes(scene: &Scene, crowd: &Crowd) -> anyhow::Result<f64> {
    crowd.latencies_ms()?;
    crowd.expect(PUSHES);
    let mut ticks = interval(BETWEEN_PUSHES);
    // A pause of the load generator's must not become a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..PUSHES {
        ticks.tick().await;
        scene.push_and_go().await?;
    }
    crowd.all_arrived().await?;
    Ok(quantile(&mut crowd.latencies_ms()?, 0.99))
}

#[derive(Clone)]
struct Load {
    operators: [Operator; 2],
    client: String,
}

impl Load {
    /// Lists, looks one client up and asks for the status, through both edges in turn. Ends only when it fails.
    async fn run(self) -> anyhow::Result<Infallible> {
        let paths = ["?limit=50".to_owned(), format!("/{}", self.client), "/status".to_owned()];
        let mut ticks = interval(BETWEEN_REQUESTS);
        let mut requests = JoinSet::new();
        let mut number = 0usize;
        loop {
            ticks.tick().await;
            let (operator, path) = (self.operators[number % 2].clone(), paths[number % paths.len()].clone());
            requests.spawn(async move { operator.get(&path).await });
            while let Some(answered) = requests.try_join_next() {
                let answer = answered??;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            }
            ensure!(requests.len() < IN_FLIGHT, "{IN_FLIGHT} requests wait for an answer");
            number += 1;
        }
    }
}

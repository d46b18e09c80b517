//! How long it takes until a client is closed that is on another edge than the one that was asked.

use std::time::Instant;

use anyhow::{bail, ensure};
use signal_client::{Disconnect, Session};
use signal_tests::figures::quantile;
use signal_wire::protocol::Protocol;

use crate::{
    Options,
    crowd::sessions,
    report::{Figure, Report, progress},
    scene::Scene,
};

const EDGES: usize = 3;
const SAMPLES: usize = 300;

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    progress(&format!("{EDGES} edges of {} clients", options.clients));
    let scene = Scene::up(options.backplane).await?;
    let (second, third) = (scene.another(|edge| edge).await, scene.another(|edge| edge).await);
    let tokens = scene.tokens(EDGES * options.clients);
    let mut tokens = tokens.chunks(options.clients);
    let mut next = || tokens.next().unwrap_or_default();
    let _at_the_first = sessions(scene.edge.http_addr(), next(), Protocol::V2).await?;
    let elsewhere = sessions(second.http_addr(), next(), Protocol::V2).await?;
    let _at_the_third = sessions(third.http_addr(), next(), Protocol::V2).await?;
    let operator = scene.operator(&scene.edge, EDGES).await?;

    let mut took_ms = Vec::new();
    for mut session in elsewhere.into_iter().take(SAMPLES) {
        let asked = Instant::now();
        let answer = operator.disconnect(&session.connected().client_id).await?;
        ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
        let code = closed(&mut session).await?;
        ensure!(code == 4007, "closed with {code}");
        took_ms.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    let (half, most) = (quantile(&mut took_ms, 0.5), quantile(&mut took_ms, 0.99));
    report.add(Figure::new("disconnect_p50_ms", "disconnect through a wrong edge, p50, ms").one(half));
    report.add(Figure::new("disconnect_p99_ms", "  p99, ms").one(most).bounds(200.0, 20.0));
    Ok(())
}

async fn closed(session: &mut Session) -> anyhow::Result<u16> {
    loop {
        match session.receive().await {
            Ok(_) => {}
            Err(Disconnect::Closed(close)) => return Ok(close.code),
            Err(error) => bail!(error),
        }
    }
}

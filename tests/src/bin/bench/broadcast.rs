//! CPU per delivered message, edge and floor in turns.

use crate::{
    Options,
    crowd::Crowd,
    floor::{self, Floor},
    report::{Figure, Report, progress},
    scene::Scene,
};

const BURST: usize = 4;
/// CPU time comes in ticks of 10 ms: so many pushes make some 30 of them.
const PUSHES: usize = 10_000;

/// One measurement of the edge.
#[derive(Clone, Copy, Debug)]
struct Cost {
    total_us: f64,
    user_us: f64,
}

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = Scene::up().await?;
    let crowd = Crowd::connect(scene.edge.http_addr(), &scene.tokens(options.clients)).await?;
    // Once for the caches, the allocator and Redis' buffers.
    let warm_up = options.rounds / 10 + 1;
    broadcasts(&scene, &crowd, warm_up, 1).await?;

    let (mut singles, mut bursts, mut single_pushes) = (Vec::new(), Vec::new(), Vec::new());
    let mut floors = Vec::<Floor>::new();
    for pair in 1..=options.pairs {
        progress(&format!("{} clients, turn {pair} of {}", options.clients, options.pairs));
        floors.push(floor::in_a_process(options.clients, options.rounds).await?);
        singles.push(broadcasts(&scene, &crowd, options.rounds, 1).await?);
        bursts.push(broadcasts(&scene, &crowd, options.rounds.div_ceil(BURST), BURST).await?);
        single_pushes.push(pushes(&scene, &crowd).await?);
    }

    let to = format!("sealed broadcast to {}", options.clients);
    let all = |costs: &[Cost], of: fn(&Cost) -> f64| costs.iter().map(of).collect::<Vec<_>>();
    let ratios =
        |costs: &[Cost]| costs.iter().zip(&floors).map(|(cost, floor)| cost.total_us / floor.total_us).collect();
    report.frame_bytes = floors[0].frame_bytes;
    report.add(Figure::new("broadcast_cpu_us", &format!("{to}, CPU µs")).many(all(&singles, |cost| cost.total_us)));
    report.add(
        Figure::new("broadcast_user_us", "  of which in user space")
            .many(all(&singles, |cost| cost.user_us))
            .bounds(3.0, 1.5),
    );
    report
        .add(Figure::new("floor_cpu_us", "  floor, CPU µs").many(floors.iter().map(|floor| floor.total_us).collect()));
    report.add(
        Figure::new("floor_seal_us", "  floor, sealing alone").many(floors.iter().map(|floor| floor.seal_us).collect()),
    );
    report.add(Figure::new("broadcast_ratio", "  ratio to the floor").many(ratios(&singles)).bounds(1.6, 1.2));
    report.add(Figure::new("burst_cpu_us", "in bursts of four, CPU µs").many(all(&bursts, |cost| cost.total_us)));
    report.add(Figure::new("burst_user_us", "  of which in user space").many(all(&bursts, |cost| cost.user_us)));
    report.add(Figure::new("burst_ratio", "  ratio to the floor").many(ratios(&bursts)).goal(0.8));
    report.add(Figure::new("push_cpu_us", "push to one user, CPU µs").many(all(&single_pushes, |cost| cost.total_us)));
    report.add(Figure::new("push_user_us", "  of which in user space").many(all(&single_pushes, |cost| cost.user_us)));
    crowd.leave().await;
    Ok(())
}

async fn broadcasts(scene: &Scene, crowd: &Crowd, rounds: usize, burst: usize) -> anyhow::Result<Cost> {
    let before = scene.cpu()?;
    for _ in 0..rounds {
        scene.broadcast(crowd, burst).await?;
    }
    cost(scene, before, rounds * burst * crowd.len())
}

async fn pushes(scene: &Scene, crowd: &Crowd) -> anyhow::Result<Cost> {
    let before = scene.cpu()?;
    for _ in 0..PUSHES {
        scene.push(crowd).await?;
    }
    cost(scene, before, PUSHES)
}

fn cost(scene: &Scene, before: crate::cpu::Cpu, messages: usize) -> anyhow::Result<Cost> {
    let spent = scene.cpu()? - before;
    Ok(Cost { total_us: spent.total_us() / messages as f64, user_us: spent.user_us() / messages as f64 })
}

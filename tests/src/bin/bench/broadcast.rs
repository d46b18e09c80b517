//! CPU per delivered message, edge and floor in turns.

use signal_wire::protocol::Protocol;

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

/// An edge and those who are connected to it, all with one version of the protocol: a broadcast reaches everybody.
struct Audience {
    scene: Scene,
    crowd: Crowd,
}

impl Audience {
    async fn gather(options: &Options, protocol: Protocol) -> anyhow::Result<Self> {
        let scene = Scene::up(options.backplane).await?;
        let crowd = Crowd::connect(scene.edge.http_addr(), &scene.tokens(options.clients), protocol).await?;
        Ok(Self { scene, crowd })
    }
}

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let v1 = Audience::gather(options, Protocol::V1).await?;
    let v2 = Audience::gather(options, Protocol::V2).await?;
    // Once for the caches, the allocator and the backplane's buffers.
    let warm_up = options.rounds / 10 + 1;
    broadcasts(&v1, warm_up, 1).await?;
    broadcasts(&v2, warm_up, 1).await?;

    let mut floors = Vec::<Floor>::new();
    let (mut of_v1, mut of_v2) = (Costs::default(), Costs::default());
    for pair in 1..=options.pairs {
        progress(&format!("{} clients, turn {pair} of {}", options.clients, options.pairs));
        floors.push(floor::in_a_process(options.clients, options.rounds).await?);
        of_v1.add(&v1, options.rounds).await?;
        of_v2.add(&v2, options.rounds).await?;
    }
    report.frame_bytes = floors[0].frame_bytes;
    of_v1.report(&V1, options.clients, &floors, report);
    let of = |of: fn(&Floor) -> f64| floors.iter().map(of).collect();
    report.add(Figure::new("floor_cpu_us", "floor, CPU µs").many(of(|floor| floor.total_us)));
    report.add(Figure::new("floor_seal_us", "floor, sealing alone").many(of(|floor| floor.seal_us)));
    of_v2.report(&V2, options.clients, &floors, report);
    v1.crowd.leave().await;
    v2.crowd.leave().await;
    Ok(())
}

/// What was measured with one version, a sample a turn.
#[derive(Default)]
struct Costs {
    singles: Vec<Cost>,
    bursts: Vec<Cost>,
    pushes: Vec<Cost>,
}

/// How the figures of a version are called.
struct Names {
    version: &'static str,
    broadcast: [&'static str; 3],
    burst: [&'static str; 3],
    push: [&'static str; 2],
}

const V1: Names = Names {
    version: "",
    broadcast: ["broadcast_cpu_us", "broadcast_user_us", "broadcast_ratio"],
    burst: ["burst_cpu_us", "burst_user_us", "burst_ratio"],
    push: ["push_cpu_us", "push_user_us"],
};
/// The floor is that of v1's frames, which are a third larger: against it v2 shows what it saves.
const V2: Names = Names {
    version: "v2: ",
    broadcast: ["v2_broadcast_cpu_us", "v2_broadcast_user_us", "v2_broadcast_ratio"],
    burst: ["v2_burst_cpu_us", "v2_burst_user_us", "v2_burst_ratio"],
    push: ["v2_push_cpu_us", "v2_push_user_us"],
};

impl Costs {
    async fn add(&mut self, audience: &Audience, rounds: usize) -> anyhow::Result<()> {
        self.singles.push(broadcasts(audience, rounds, 1).await?);
        self.bursts.push(broadcasts(audience, rounds.div_ceil(BURST), BURST).await?);
        self.pushes.push(pushes(audience).await?);
        Ok(())
    }

    fn report(&self, names: &Names, clients: usize, floors: &[Floor], report: &mut Report) {
        let all = |costs: &[Cost], of: fn(&Cost) -> f64| costs.iter().map(of).collect::<Vec<_>>();
        let ratios =
            |costs: &[Cost]| costs.iter().zip(floors).map(|(cost, floor)| cost.total_us / floor.total_us).collect();
        let version = names.version;
        let mut add = |id, title: String, samples: Vec<f64>, bounds: Option<(f64, f64)>| {
            let figure = Figure::new(id, &title).many(samples);
            report.add(match bounds {
                Some((target, goal)) => figure.bounds(target, goal),
                None => figure,
            });
        };
        let total = |cost: &Cost| cost.total_us;
        let user = |cost: &Cost| cost.user_us;
        let (inner, ratio) = ("  of which in user space".to_owned(), "  ratio to the floor".to_owned());
        let title = format!("{version}sealed broadcast to {clients}, CPU µs");
        add(names.broadcast[0], title, all(&self.singles, total), None);
        add(names.broadcast[1], inner.clone(), all(&self.singles, user), Some((3.0, 1.5)));
        add(names.broadcast[2], ratio.clone(), ratios(&self.singles), Some((1.6, 1.2)));
        add(names.burst[0], format!("{version}in bursts of four, CPU µs"), all(&self.bursts, total), None);
        add(names.burst[1], inner.clone(), all(&self.bursts, user), None);
        report.add(Figure::new(names.burst[2], &ratio).many(ratios(&self.bursts)).goal(0.8));
        let title = format!("{version}push to one user, CPU µs");
        report.add(Figure::new(names.push[0], &title).many(all(&self.pushes, total)));
        report.add(Figure::new(names.push[1], &inner).many(all(&self.pushes, user)));
    }
}

async fn broadcasts(audience: &Audience, rounds: usize, burst: usize) -> anyhow::Result<Cost> {
    let Audience { scene, crowd } = audience;
    let before = scene.cpu()?;
    for _ in 0..rounds {
        scene.broadcast(crowd, burst).await?;
    }
    cost(scene, before, rounds * burst * crowd.len())
}

async fn pushes(audience: &Audience) -> anyhow::Result<Cost> {
    let Audience { scene, crowd } = audience;
    let before = scene.cpu()?;
    for _ in 0..PUSHES {
        scene.push(crowd).await?;
    }
    cost(scene, before, PUSHES)
}

fn cost(scene: &Scene, before: signal_tests::cpu::Cpu, messages: usize) -> anyhow::Result<Cost> {
    let spent = scene.cpu()? - before;
    Ok(Cost { total_us: spent.total_us() / messages as f64, user_us: spent.user_us() / messages as f64 })
}

//! What pushes to single people cost on each backplane, in one run: at its server, and at the edge that reads them.

use signal_wire::protocol::Protocol;

use crate::{
    Options,
    cpu::Cpu,
    crowd::Crowd,
    report::{Figure, Report, progress},
    scene::{Backplane, Scene},
};

struct Names {
    server_memory: &'static str,
    edge_memory: &'static str,
    server_cpu: &'static str,
    edge_cpu: &'static str,
}

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let redis = Names {
        server_memory: "redis_memory_per_client_kib",
        edge_memory: "client_memory_on_redis_kib",
        server_cpu: "redis_push_cpu_us",
        edge_cpu: "push_on_redis_cpu_us",
    };
    let nats = Names {
        server_memory: "nats_memory_per_client_kib",
        edge_memory: "client_memory_on_nats_kib",
        server_cpu: "nats_push_cpu_us",
        edge_cpu: "push_on_nats_cpu_us",
    };
    for (backplane, names) in [(Backplane::Redis, redis), (Backplane::Nats, nats)] {
        on(backplane, &names, options, report).await?;
    }
    Ok(())
}

async fn on(backplane: Backplane, names: &Names, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = Scene::up(backplane).await?;
    let (name, clients) = (scene.pubsub.name(), options.idle);
    progress(&format!("{clients} clients and a message to each of them, {} times, on {name}", options.pairs));
    let (empty_server, empty_edge) = (scene.pubsub.rss_kib() as f64, scene.edge.rss_kib() as f64);
    let crowd = Crowd::connect(scene.edge.http_addr(), &scene.tokens(clients), Protocol::V2).await?;
    let each = |with: f64, without: f64| (with - without) / clients as f64;
    let edge_memory = each(scene.settled_rss_kib().await, empty_edge);
    let server_memory = each(scene.pubsub.rss_kib() as f64, empty_server);
    scene.push_to_each(&crowd).await?;

    let mut costs = Vec::new();
    for _ in 0..options.pairs {
        let before = (Cpu::of(scene.pubsub.pid())?, scene.cpu()?);
        scene.push_to_each(&crowd).await?;
        let after = (Cpu::of(scene.pubsub.pid())?, scene.cpu()?);
        costs.push(((after.0 - before.0).total_us(), (after.1 - before.1).total_us()));
    }
    let per_message = |of: fn(&(f64, f64)) -> f64| costs.iter().map(|cost| of(cost) / clients as f64).collect();
    let mut add = |id, title: String, samples| report.add(Figure::new(id, &title).many(samples));
    add(names.server_cpu, format!("push to each of {clients}, CPU µs of {name}"), per_message(|cost| cost.0));
    add(names.edge_cpu, "  of the edge".to_owned(), per_message(|cost| cost.1));
    add(names.server_memory, format!("memory of {name} per idle client, KiB"), vec![server_memory]);
    add(names.edge_memory, "  of the edge".to_owned(), vec![edge_memory]);
    crowd.leave().await;
    Ok(())
}

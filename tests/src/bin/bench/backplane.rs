//! What each backplane carries, and what that costs its servers: one publisher, and subscriptions as edges have them,
//! without edges. All of them take turns, so that each sees the same machine.

mod candidate;
mod delay;
mod flow;
mod memory;

use crate::{
    Options,
    backplane::candidate::Candidate,
    report::{Figure, Report, progress},
};

/// Channels that are held, of as many people, and what is said on each in one measurement.
const CHANNELS: usize = 10_000;
const MESSAGES_PER_CHANNEL: usize = 8;
/// How often they take turns.
const ROUNDS: usize = 3;

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let candidates = candidate::launch_all(options).await?;
    let mut measured: Vec<Measured> = candidates.iter().map(|_| Measured::default()).collect();
    for (candidate, measured) in candidates.iter().zip(&mut measured) {
        progress(&format!("backplane: memory of {}", candidate.title));
        measured.memory_mib = memory::of_channels(candidate).await?;
    }
    for round in 1..=ROUNDS {
        for (candidate, measured) in candidates.iter().zip(&mut measured) {
            progress(&format!("backplane: {}, {round} of {ROUNDS}", candidate.title));
            measured.to_one.push(flow::measure(candidate, 1).await?);
            measured.to_two.push(flow::measure(candidate, 2).await?);
            let (p50, p99) = delay::measure(candidate).await?;
            measured.p50_ms.push(p50);
            measured.p99_ms.push(p99);
        }
    }
    for (candidate, measured) in candidates.iter().zip(measured) {
        measured.report(candidate, report);
    }
    Ok(())
}

#[derive(Default)]
struct Measured {
    to_one: Vec<flow::Flow>,
    to_two: Vec<flow::Flow>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    memory_mib: f64,
}

impl Measured {
    fn report(self, candidate: &Candidate, report: &mut Report) {
        let mut add = |id: &str, title: &str, samples: Vec<f64>| {
            report.add(Figure::new(&format!("backplane_{}_{id}", candidate.id), title).many(samples));
        };
        let of = |flows: &[flow::Flow], quantity: fn(&flow::Flow) -> f64| flows.iter().map(quantity).collect();
        let title = candidate.title;
        add("rate_one", &format!("{title}: messages/s to one"), of(&self.to_one, |flow| flow.rate));
        add("rate_two", "  to two, half of the channels each", of(&self.to_two, |flow| flow.rate));
        add("cpu_us", "  CPU µs of all servers per message", of(&self.to_two, |flow| flow.cpu_us));
        add("busiest_cpu_us", "  of the busiest one", of(&self.to_two, |flow| flow.busiest_us));
        add("p50_ms", "  publish to heard, p50, ms", self.p50_ms);
        add("p99_ms", "  p99, ms", self.p99_ms);
        add("memory_mib", "  memory of all servers for 100,000 channels, MiB", vec![self.memory_mib]);
    }
}

//! One process, and what the kubelet does to it.

use std::{net::SocketAddr, process::ExitStatus, time::Duration};

use signal_harness::{Samples, Service, Signal, get};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::Strategy;

/// `timeoutSeconds` of the probe, with room for a machine that runs everything at once.
const PROBE: Duration = Duration::from_secs(5);
/// After SIGKILL, which nothing survives.
const DEAD: Duration = Duration::from_secs(20);

const PUSHED: &str = "signal_edge_outbound_messages_total";

#[derive(Debug)]
pub struct Pod {
    pub revision: &'static str,
    service: Service,
    ready_since: Option<Instant>,
    failures: usize,
}

/// How a pod ended.
#[derive(Debug)]
pub struct Ending {
    /// Clients that it had when it was told to stop, how many it told when to leave, and how many messages it was seen
    /// to push after that. None if it has no such metrics.
    pub clients: u64,
    pub announced: u64,
    pub pushed: u64,
    /// It had to be killed.
    pub killed: bool,
    pub status: ExitStatus,
    /// From SIGTERM.
    pub took: Duration,
    pub output: String,
}

impl Pod {
    pub fn new(revision: &'static str, service: Service) -> Self {
        Self { revision, service, ready_since: None, failures: 0 }
    }

    pub fn address(&self) -> SocketAddr {
        self.service.http_addr()
    }

    pub fn is_ready(&self) -> bool {
        self.ready_since.is_some()
    }

    /// Ready for as long as it takes to be relied on.
    pub fn is_available(&self, min_ready: Duration) -> bool {
        self.ready_since.is_some_and(|since| since.elapsed() >= min_ready)
    }

    /// Asks once whether it is ready: one yes makes it so, so many noes in a row end it.
    ///
    /// # Errors
    /// If the process has ended, which nobody asked it to.
    pub async fn probe(&mut self, failure_threshold: usize) -> anyhow::Result<()> {
        if let Some(status) = self.service.exited() {
            anyhow::bail!("a pod has ended by itself: {status}\n{}", self.service.output());
        }
        let answer = timeout(PROBE, self.service.health("ready")).await;
        if answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200)) {
            self.failures = 0;
            self.ready_since.get_or_insert_with(Instant::now);
        } else {
            self.failures += 1;
            if self.failures >= failure_threshold {
                self.ready_since = None;
            }
        }
        Ok(())
    }

    /// What happens to it once it is deleted.
    pub fn terminate(self, strategy: Strategy) -> JoinHandle<Ending> {
        tokio::spawn(async move {
            let deleted = Instant::now();
            sleep(strategy.pre_stop).await;
            let clients = self.count("signal_edge_connections").await.unwrap_or_default();
            self.service.signal(Signal::Term);
            let told = Instant::now();
            let (mut announced, mut pushed, mut pushed_before) = (0, 0, None);
            let mut ticks = interval(strategy.probe_period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut exited, mut killed) = (None, false);
            while exited.is_none() && !killed {
                ticks.tick().await;
                // It answers almost to the end.
                announced = self.count("signal_edge_reconnects_announced_total").await.unwrap_or(announced);
                if let Some(all) = self.count(PUSHED).await.filter(|_| announced > 0 && announced >= clients) {
                    pushed = all - *pushed_before.get_or_insert(all);
                }
                exited = self.service.exited();
                killed = exited.is_none() && deleted.elapsed() > strategy.grace;
            }
            if killed {
                self.service.signal(Signal::Kill);
            }
            let took = told.elapsed();
            let status = self.service.wait_exit(DEAD).await;
            Ending { clients, announced, pushed, killed, status, took, output: self.service.output() }
        })
    }

    async fn count(&self, name: &str) -> Option<u64> {
        let answer = timeout(PROBE, get(self.service.admin_addr(), "/metrics")).await.ok()?.ok()?;
        let samples = (answer.status == 200).then(|| Samples::parse(&answer.body))?;
        samples.contains(name).then(|| samples.sum(name, &[]) as u64)
    }
}

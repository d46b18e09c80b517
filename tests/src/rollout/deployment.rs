//! The controller: it wants so many pods of one revision, and gets there one pod at a time.

use std::{fmt, time::Duration};

use anyhow::{Context, ensure};
use signal_harness::Launch;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Strategy,
    endpoints::Endpoints,
    pod::{Ending, Pod},
};

/// Beyond the replicas, at most one.
const MAX_SURGE: usize = 1;

pub struct Deployment<'a> {
    strategy: Strategy,
    /// How a pod of a revision is started.
    launch: Box<dyn Fn(&str) -> Launch + 'a>,
    pods: Vec<Pod>,
    terminating: Vec<JoinHandle<Ending>>,
    endpoints: Option<Endpoints>,
    /// The fewest ready pods at any look since all were there.
    least_ready: usize,
    most_pods: usize,
}

impl<'a> Deployment<'a> {
    /// With all its pods, and all of them available.
    ///
    /// # Errors
    /// If that is not so in time, or one ends.
    pub async fn up(
        strategy: Strategy,
        revision: &'static str,
        endpoints: Option<Endpoints>,
        within: Duration,
        launch: impl Fn(&str) -> Launch + 'a,
    ) -> anyhow::Result<Self> {
        let launch = Box::new(launch);
        let (pods, terminating) = (Vec::new(), Vec::new());
        let mut deployment = Self { strategy, launch, pods, terminating, endpoints, least_ready: 0, most_pods: 0 };
        // Nobody has to wait for the first ones one by one.
        deployment
            .pods
            .extend((0..strategy.replicas).map(|_| Pod::new(revision, (deployment.launch)(revision).spawn())));
        deployment.roll_out(revision, within).await?;
        deployment.least_ready = strategy.replicas;
        Ok(deployment)
    }

    /// Replaces every pod of another revision; returns once the new ones are available. Those that were told to stop may
    /// still be at it.
    ///
    /// # Errors
    /// If it takes longer, or a pod ends by itself.
    pub async fn roll_out(&mut self, revision: &'static str, within: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut ticks = interval(self.strategy.probe_period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_rolled_out(revision) {
            ticks.tick().await;
            ensure!(began.elapsed() < within, "revision {revision} is not rolled out after {within:?}: {self:?}");
            self.look().await?;
            self.act(revision);
        }
        Ok(())
    }

    /// Probes every pod and says who is ready.
    async fn look(&mut self) -> anyhow::Result<()> {
        for pod in &mut self.pods {
            pod.probe(self.strategy.failure_threshold).await?;
        }
        self.least_ready = self.least_ready.min(self.ready());
        self.publish();
        Ok(())
    }

    fn act(&mut self, revision: &'static str) {
        let Strategy { replicas, min_ready, .. } = self.strategy;
        let wanted = self.pods.iter().filter(|pod| pod.revision == revision).count();
        if wanted < replicas && self.pods.len() < replicas + MAX_SURGE {
            self.pods.push(Pod::new(revision, (self.launch)(revision).spawn()));
        }
        self.most_pods = self.most_pods.max(self.pods.len());
        let available = self.pods.iter().filter(|pod| pod.is_available(min_ready)).count();
        let old = self.pods.iter().position(|pod| pod.revision != revision);
        // None of those that are needed may go.
        if let Some(old) = old.filter(|_| available > replicas) {
            self.terminating.push(self.pods.remove(old).terminate(self.strategy));
            // The endpoint goes at the moment at which the pod is deleted, not when its probe fails.
            self.publish();
        }
    }

    fn publish(&mut self) {
        let ready = self.pods.iter().filter(|pod| pod.is_ready()).map(Pod::address).collect();
        if let Some(endpoints) = &mut self.endpoints {
            endpoints.set(ready);
        }
    }

    fn is_rolled_out(&self, revision: &str) -> bool {
        let available = |pod: &Pod| pod.revision == revision && pod.is_available(self.strategy.min_ready);
        self.pods.len() == self.strategy.replicas && self.pods.iter().all(available)
    }

    pub fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.is_ready()).count()
    }

    pub fn least_ready(&self) -> usize {
        self.least_ready
    }

    /// The most pods that there were, those that were told to stop not counted.
    pub fn most_pods(&self) -> usize {
        self.most_pods
    }

    /// Waits until everybody who was told to stop has, and says how each did.
    ///
    /// # Errors
    /// If one can't even be killed.
    pub async fn endings(&mut self) -> anyhow::Result<Vec<Ending>> {
        let mut endings = Vec::new();
        for terminating in self.terminating.drain(..) {
            endings.push(terminating.await.context("a pod does not end")?);
        }
        Ok(endings)
    }
}

impl fmt::Debug for Deployment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pods: Vec<_> = self.pods.iter().map(|pod| (pod.revision, pod.is_ready())).collect();
        f.debug_struct("Deployment")
            .field("strategy", &self.strategy)
            .field("pods", &pods)
            .field("terminating", &self.terminating.len())
            .finish_non_exhaustive()
    }
}

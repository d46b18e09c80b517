//! A rolling deploy, as Kubernetes makes it, on processes.
//!
//! A [`Deployment`](deployment::Deployment) replaces pods one by one as its controller does; a [`pod`] is a process with
//! what the kubelet does to it: probes, `preStop`, SIGTERM, the grace period, SIGKILL; [`endpoints`] are what kube-proxy
//! knows, which is always a little old. [`play`] rolls edges and workers to another version and back while clients,
//! sister services and producers go on, and holds what came of it against what was promised.

pub mod deployment;
pub mod endpoints;
pub mod play;
pub mod pod;
pub mod promise;

use std::time::Duration;

use crate::stream;

/// How a deployment replaces its pods, by the names that Kubernetes has for it. `maxSurge` is 1 and `maxUnavailable` 0.
#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    pub replicas: usize,
    /// `minReadySeconds`: how long a pod is ready before the next one may go. Shorter than a drain window, it would let
    /// drains overlap, and their clients come back together.
    pub min_ready: Duration,
    /// `readinessProbe`: `periodSeconds` and `failureThreshold`.
    pub probe_period: Duration,
    pub failure_threshold: usize,
    /// `lifecycle.preStop.sleep`: until everybody has heard that the pod is no endpoint any more.
    pub pre_stop: Duration,
    /// `terminationGracePeriodSeconds`, which begins with `preStop`.
    pub grace: Duration,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// SDK clients that count what sister services push, beside the stream's windows.
    pub clients: usize,
    /// Sister services push to each of them so often.
    pub between_pushes: Duration,
    /// `SIGNAL_DRAIN_WINDOW` and `SIGNAL_SHUTDOWN_DEADLINE` of an edge.
    pub drain_window: Duration,
    pub deadline: Duration,
    /// How old what kube-proxy knows of endpoints is.
    pub propagation: Duration,
    pub edges: Strategy,
    pub workers: Strategy,
    pub stream: stream::Scale,
}

impl Scale {
    /// Half a minute on two busy cores, without optimisation.
    pub const QUICK: Self = Self {
        clients: 300,
        between_pushes: Duration::from_millis(250),
        drain_window: Duration::from_millis(2500),
        deadline: Duration::from_secs(12),
        propagation: Duration::from_millis(300),
        edges: Strategy {
            replicas: 3,
            min_ready: Duration::from_secs(3),
            probe_period: Duration::from_millis(200),
            failure_threshold: 3,
            pre_stop: Duration::from_millis(800),
            grace: Duration::from_secs(25),
        },
        workers: Strategy {
            replicas: 2,
            min_ready: Duration::from_secs(3),
            probe_period: Duration::from_millis(200),
            failure_threshold: 3,
            pre_stop: Duration::ZERO,
            grace: Duration::from_secs(25),
        },
        stream: stream::Scale { events: 1500, pace: 60, batch: 100, ..stream::Scale::QUICK },
    };

    /// With the times of a production deployment, but for a window of half the length.
    pub const FULL: Self = Self {
        clients: 600,
        between_pushes: Duration::from_millis(100),
        drain_window: Duration::from_secs(10),
        deadline: Duration::from_secs(20),
        propagation: Duration::from_secs(1),
        edges: Strategy {
            min_ready: Duration::from_secs(15),
            probe_period: Duration::from_secs(1),
            pre_stop: Duration::from_secs(3),
            grace: Duration::from_secs(35),
            ..Self::QUICK.edges
        },
        workers: Strategy {
            min_ready: Duration::from_secs(10),
            probe_period: Duration::from_secs(1),
            ..Self::QUICK.workers
        },
        stream: stream::Scale { events: 15_000, ..stream::Scale::FULL },
    };
}

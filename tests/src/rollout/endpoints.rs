//! What kube-proxy knows of the pods of a service: which are ready and not about to go, a little later.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::balancer::Balancer;

#[derive(Debug)]
pub struct Endpoints {
    last: Vec<SocketAddr>,
    changes: mpsc::UnboundedSender<(Instant, Vec<SocketAddr>)>,
    propagation: Duration,
    _propagating: JoinSet<()>,
}

impl Endpoints {
    /// The balancer hears of each change so much later.
    pub fn of(balancer: Balancer, propagation: Duration) -> Self {
        let (changes, mut coming) = mpsc::unbounded_channel();
        let mut propagating = JoinSet::new();
        propagating.spawn(async move {
            while let Some((due, endpoints)) = coming.recv().await {
                sleep_until(due).await;
                balancer.set(endpoints);
            }
        });
        Self { last: Vec::new(), changes, propagation, _propagating: propagating }
    }

    pub fn set(&mut self, endpoints: Vec<SocketAddr>) {
        if endpoints != self.last {
            self.last.clone_from(&endpoints);
            self.changes
                .send((Instant::now() + self.propagation, endpoints))
                .expect("it propagates until it is dropped");
        }
    }
}

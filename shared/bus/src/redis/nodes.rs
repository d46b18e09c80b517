//! Which node the next connection goes to.

use std::{future::pending, sync::Arc};

use super::{
    address::{Address, Topology},
    node::Node,
    sentinel::{NoMaster, Sentinels},
};
use crate::endpoint::Endpoint;

/// The nodes of an address, for one user of connections, who keeps one at a time.
#[derive(Debug)]
pub(super) struct Nodes {
    address: Arc<Address>,
    choice: Choice,
}

#[derive(Debug)]
enum Choice {
    /// Classic PUBLISH is heard on every node of a cluster, so that any node will do for either end: the nodes are
    /// taken in turn, and beginning anywhere spreads the edges over them.
    InTurn { nodes: Vec<Endpoint>, next: usize },
    /// Only what is said to a master is heard everywhere, and which node that is changes.
    Master(Sentinels),
}

impl Nodes {
    pub(super) fn new(address: &Arc<Address>) -> Self {
        let choice = match &address.topology {
            Topology::Single(node) => Choice::InTurn { nodes: vec![node.clone()], next: 0 },
            Topology::Cluster(nodes) => {
                let random = getrandom::u32().unwrap_or_default() as usize;
                Choice::InTurn { nodes: nodes.clone(), next: random % nodes.len() }
            }
            Topology::Sentinel { sentinels, master } => Choice::Master(Sentinels::new(address, sentinels, master)),
        };
        Self { address: Arc::clone(address), choice }
    }

    /// How many tries it takes until every node has had one.
    pub(super) fn count(&self) -> usize {
        match &self.choice {
            Choice::InTurn { nodes, .. } => nodes.len(),
            Choice::Master(_) => 1,
        }
    }

    /// The node to try now. Asked again, it is the one after that.
    pub(super) async fn next(&mut self) -> Result<Node, NoMaster> {
        match &mut self.choice {
            Choice::InTurn { nodes, next } => {
                let node = nodes[*next].clone();
                *next = (*next + 1) % nodes.len();
                Ok(Node::of(&self.address, node))
            }
            Choice::Master(sentinels) => sentinels.master().await,
        }
    }

    /// Returns where the master is, once it is elsewhere than at `node`: a master that was deposed keeps connections
    /// for many seconds on which nothing is heard. Never returns where nodes are as good as each other.
    pub(super) async fn moved(&mut self, node: &Endpoint) -> Endpoint {
        match &mut self.choice {
            Choice::InTurn { .. } => pending().await,
            Choice::Master(sentinels) => sentinels.moved(node).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    async fn take(nodes: &mut Nodes, count: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push(nodes.next().await.expect("needs no sentinel").endpoint.port);
        }
        ports
    }

    fn nodes(address: &str) -> Nodes {
        Nodes::new(&Arc::new(Address::read(address).expect("valid")))
    }

    #[tokio::test]
    async fn a_cluster_takes_turns_beginning_anywhere() {
        let mut begun = BTreeSet::new();
        // One of three is never begun with in 200 rounds once in 10^35 runs.
        for _ in 0..200 {
            let mut nodes = nodes("redis-cluster://a:1,b:2,c:3");
            let ports = take(&mut nodes, 6).await;
            assert_eq!(ports[..3], ports[3..]);
            assert_eq!(ports[..3].iter().collect::<BTreeSet<_>>().len(), nodes.count());
            begun.insert(ports[0]);
        }
        assert_eq!(begun.len(), 3);
    }

    #[tokio::test]
    async fn one_server_is_tried_again() {
        let mut nodes = nodes("redis://a:7");
        assert_eq!(take(&mut nodes, 3).await, [7, 7, 7]);
    }
}

//! Says each publication to the master of its channel's slot.
//!
//! One publisher's publications on one channel are heard in their order: they are in one slot, and so in one pipeline
//! to one node. Nothing orders what is said to different nodes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::{ErrorKind, RedisResult, ServerErrorKind, Value};
use tokio::{
    sync::{OnceCell, watch},
    time::timeout,
};

use super::{
    slot::slot,
    survey::{Outlook, Survey},
};
use crate::{
    Publication,
    endpoint::Endpoint,
    redis::{
        address::{Address, Topology},
        publisher::{PublishError, Publisher},
    },
};

/// How often what met a node that does not serve its slot is said again elsewhere.
const TRIES: usize = 4;
/// For the cluster to say who serves which slot.
const OUTLOOK_TIMEOUT: Duration = Duration::from_secs(4);

pub(in crate::redis) struct ShardedPublisher {
    address: Arc<Address>,
    seeds: Vec<Endpoint>,
    survey: OnceCell<Survey>,
    nodes: Mutex<HashMap<Endpoint, Arc<Publisher>>>,
}

/// What one try leaves.
#[derive(Default)]
struct Left<'a> {
    /// What another node may take.
    publications: Vec<&'a Publication>,
    /// Why nobody has taken those.
    cause: Option<String>,
    /// Why others are not said and will not be.
    refused: Option<String>,
}

impl ShardedPublisher {
    pub(in crate::redis) fn new(address: &Arc<Address>, seeds: &[Endpoint]) -> Self {
        let (survey, nodes) = Default::default();
        Self { address: Arc::clone(address), seeds: seeds.to_vec(), survey, nodes }
    }

    /// Or says why some of them were not said.
    pub(in crate::redis) async fn send(&self, batch: &[Publication]) -> Result<(), String> {
        // Here, where there is a runtime for it.
        let survey = self.survey.get_or_init(async || Survey::begin(&self.address, &self.seeds)).await;
        let mut outlook = survey.outlook();
        let mut left = Left { publications: batch.iter().collect(), ..Left::default() };
        for attempt in 0..TRIES {
            if attempt > 0 || outlook.borrow().failure.is_some() {
                self.renew(survey, &mut outlook).await?;
            }
            let known = outlook.borrow().clone();
            let tried = self.send_where_they_are(&left.publications, &known).await;
            left = Left { refused: left.refused.or(tried.refused), ..tried };
            if left.publications.is_empty() {
                return left.refused.map_or(Ok(()), Err);
            }
        }
        Err(left.cause.unwrap_or_default())
    }

    async fn renew(&self, survey: &Survey, outlook: &mut watch::Receiver<Outlook>) -> Result<(), String> {
        outlook.mark_unchanged();
        survey.hurry();
        let renewed = timeout(OUTLOOK_TIMEOUT, outlook.changed()).await;
        if !matches!(renewed, Ok(Ok(()))) {
            return Err(format!("no node of the cluster answers within {OUTLOOK_TIMEOUT:?}"));
        }
        let Outlook { map, failure } = outlook.borrow().clone();
        let owners = map.owners();
        self.nodes.lock().retain(|node, _| owners.contains(node));
        failure.map_or(Ok(()), Err)
    }

    async fn send_where_they_are<'a>(&self, batch: &[&'a Publication], outlook: &Outlook) -> Left<'a> {
        let mut left = Left::default();
        let mut nodes: BTreeMap<&Endpoint, Vec<&'a Publication>> = BTreeMap::new();
        for publication in batch {
            let slot = slot(&publication.channel);
            match outlook.map.owner(slot) {
                Some(owner) => nodes.entry(owner).or_default().push(publication),
                None => {
                    left.cause.get_or_insert_with(|| format!("slot {slot} is served by no node of the cluster"));
                    left.publications.push(publication);
                }
            }
        }
        let sending = nodes.into_iter().map(async |(node, publications)| {
            let sent = self.publisher(node).send::<Vec<RedisResult<Value>>>(&pipeline(&publications)).await;
            (node, publications, sent)
        });
        for (node, publications, sent) in join_all(sending).await {
            left.add(node, publications, sent);
        }
        left
    }

    fn publisher(&self, node: &Endpoint) -> Arc<Publisher> {
        let mut nodes = self.nodes.lock();
        let new = || {
            let topology = Topology::Single(node.clone());
            Publisher::new(&Arc::new(Address { topology, ..Address::clone(&self.address) }))
        };
        Arc::clone(nodes.entry(node.clone()).or_insert_with(new))
    }
}

fn pipeline(publications: &[&Publication]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for publication in publications {
        pipeline.cmd("SPUBLISH").arg(&publication.channel).arg(&publication.payload[..]);
    }
    pipeline.ignore_errors();
    pipeline
}

impl<'a> Left<'a> {
    /// Adds what a node did not take. Only what it refused because the slot is elsewhere, or because it is not there,
    /// may be taken by another one.
    fn add(
        &mut self,
        node: &Endpoint,
        publications: Vec<&'a Publication>,
        sent: Result<Vec<RedisResult<Value>>, PublishError>,
    ) {
        let answers = match sent {
            Ok(answers) => answers,
            Err(error) if error.is_nobody_there() => {
                self.cause.get_or_insert(error.to_string());
                self.publications.extend(publications);
                return;
            }
            Err(error) => {
                self.refused.get_or_insert(error.to_string());
                return;
            }
        };
        for (publication, answer) in publications.into_iter().zip(answers) {
            let Err(error) = answer else { continue };
            let is_elsewhere = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
            let error = format!("Redis at {node}: {error}");
            if is_elsewhere {
                self.publications.push(publication);
                self.cause.get_or_insert(error);
            } else {
                self.refused.get_or_insert(error);
            }
        }
    }
}

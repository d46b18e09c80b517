//! One stream from its first record to the comparison of what is there with what must be.

use std::{sync::Arc, time::Instant};

use signal_harness::{Service, eventually};

use super::{
    ear::Ear,
    list::List,
    members::Members,
    outcome::{self, Outcome},
    people::People,
    plan::Plan,
    producer::Producer,
    random::Random,
    stage::Stage,
};
use crate::balancer::Balancer;

#[derive(Debug)]
pub struct Run<'a> {
    pub stage: &'a Stage<'a>,
    pub plan: Arc<Plan>,
    pub random: Random,
    pub people: People,
    pub ear: Ear,
    pub producer: Producer,
    began: Instant,
}

impl<'a> Run<'a> {
    /// Enrols the members, opens the windows at the stage's edge, and begins to produce.
    ///
    /// # Errors
    /// If something that it needs is not there.
    pub async fn begin(stage: &'a Stage<'a>, seed: u64) -> anyhow::Result<Self> {
        let edge = Balancer::default();
        edge.add(stage.edge.http_addr());
        Self::through(stage, seed, &edge).await
    }

    /// As [`Run::begin`], with the windows at whichever edge the balancer gives them.
    ///
    /// # Errors
    /// As there.
    pub async fn through(stage: &'a Stage<'a>, seed: u64, balancer: &Balancer) -> anyhow::Result<Self> {
        let (scale, mut random) = (stage.scale, Random::new(seed));
        let members = Members::generate(&mut random, scale.users, scale.merchants, scale.organizers);
        stage.rows.enrol(&members.enrolments()).await?;
        let plan = Arc::new(Plan::generate(&mut random, members, scale.events, scale.partitions));
        let mut users = random.some(&plan.members.users, scale.windows * 3 / 4);
        users.extend(random.some(&users, scale.windows - users.len()));
        let list = List::of(stage.inbox.http_addr())?;
        let people = People::gather(&users, balancer, &stage.issuer, &list, &plan).await?;
        let ear = Ear::open(&stage.pubsub.url()).await?;
        let (brokers, topic) = (stage.kafka.brokers(), stage.topic.clone());
        let producer = Producer::start(brokers, topic, Arc::clone(&plan), scale.pace);
        Ok(Self { stage, plan, random, people, ear, producer, began: Instant::now() })
    }

    /// Waits until the producer is so far.
    pub async fn produced(&self, records: usize) {
        eventually(self.stage.scale.within, || async {
            let produced = self.producer.produced();
            if produced >= records { Ok(()) } else { Err(format!("{produced} of {records} records")) }
        })
        .await;
    }

    /// Waits until so many different notifications were pushed; fails at once should the worker end.
    pub async fn pushed(&self, worker: &Service, notifications: u64) {
        worker
            .wait_until(self.stage.scale.within, || async {
                let pushed = self.ear.distinct();
                if pushed >= notifications { Ok(()) } else { Err(format!("{pushed} of {notifications} pushed")) }
            })
            .await;
    }

    /// Waits until everything has come that is to come, and compares.
    ///
    /// # Errors
    /// If anything is lost, doubled, anybody else's, or not known to a client: all of it, in words.
    pub async fn finish(mut self) -> anyhow::Result<Outcome> {
        self.producer.done().await?;
        let within = self.stage.scale.within;
        let last: Vec<&str> = self.plan.last_expected.iter().map(|(event, _)| event.as_str()).collect();
        eventually(within, || async {
            match self.stage.rows.count_of(&last).await {
                Ok(count) if count >= last.len() => Ok(()),
                Ok(count) => Err(format!("{count} of the last {} rows", last.len())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        let took = self.began.elapsed();
        // Said before it is waited for in vain that somebody hears of it.
        outcome::rows_are_as_expected(&self.plan, &self.stage.rows.all().await?)?;
        let due: Vec<usize> = self.people.ask(|window| self.plan.expected_of(&window.user));
        eventually(within, || async {
            let known = self.people.ask(|window| window.known.len());
            let behind = known.iter().zip(&due).filter(|(known, due)| known < due).count();
            if behind == 0 { Ok(()) } else { Err(format!("{behind} windows miss something: {known:?} of {due:?}")) }
        })
        .await;
        let rows = self.stage.rows.all().await?;
        let outcome = Outcome::of(&self, &rows, took);
        outcome.check(&self, &rows)?;
        Ok(outcome)
    }
}

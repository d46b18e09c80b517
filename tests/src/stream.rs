//! A stream of events while things go wrong: what was produced must be there, all of it, once, and known to everybody.
//!
//! A [`plan`] says from a seed what is produced and which rows must come of it; a [`stage`] has the servers; a [`run`]
//! produces, listens and compares; [`faults`] is what goes wrong meanwhile. `make test` does it on a small [`Scale`],
//! `make soak` on the full one.

pub mod crowd;
pub mod ear;
pub mod event;
pub mod faults;
pub mod list;
pub mod members;
pub mod outcome;
pub mod partitions;
pub mod people;
pub mod plan;
pub mod producer;
pub mod random;
pub mod rows;
pub mod run;
pub mod stage;

use std::time::Duration;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub users: usize,
    pub merchants: usize,
    pub organizers: usize,
    /// SDK clients; some people have two.
    pub windows: usize,
    pub partitions: u32,
    pub events: usize,
    /// Records that are produced in a second.
    pub pace: usize,
    /// Records in one of a worker's batches at most.
    pub batch: usize,
    pub kills: usize,
    /// Workers that are killed come back under the name that they had, and so need not wait until the group has
    /// given the dead one up.
    pub same_member: bool,
    /// How long a server is away at least.
    pub outage: Duration,
    /// Recipients of one large event, and the records that wait behind it.
    pub crowd: usize,
    pub backlog: usize,
    /// For whatever is waited for, before it counts as never coming.
    pub within: Duration,
}

impl Scale {
    /// A minute or so of each scenario on two busy cores, without optimisation.
    pub const QUICK: Self = Self {
        users: 300,
        merchants: 40,
        organizers: 8,
        windows: 24,
        partitions: 6,
        events: 3000,
        pace: 150,
        batch: 20,
        kills: 20,
        same_member: true,
        outage: Duration::from_secs(4),
        crowd: 100_000,
        backlog: 10_000,
        within: Duration::from_secs(240),
    };

    /// What must hold.
    pub const FULL: Self = Self {
        windows: 60,
        events: 20_000,
        pace: 100,
        batch: 500,
        same_member: false,
        outage: Duration::from_secs(30),
        backlog: 50_000,
        within: Duration::from_secs(600),
        ..Self::QUICK
    };
}

//! What goes wrong around edges and workers, each with what must hold then. `make test` plays the small size of most,
//! `make soak` the full one of all; what befalls a stream of events is in [`crate::stream::faults`].
//!
//! Each returns its figures in words. What does not hold is an error or a panic.

pub mod backplane;
pub mod clients;
pub mod drain;
pub mod flood;
pub mod issuer;
pub mod malformed;
pub mod outage;
pub mod scene;
pub mod silence;
pub mod slow_network;
pub mod slow_readers;

use std::time::Duration;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// SDK clients of one edge.
    pub clients: usize,
    /// How long something is away at least.
    pub away: Duration,
    /// How often a server is restarted that does not come to rest.
    pub restarts: usize,
    pub drain_window: Duration,
    /// Clients that do not read.
    pub stalled: usize,
    /// Of each kind of malformed input, in so many rounds.
    pub malformed: usize,
    pub rounds: usize,
    /// Sockets that want nothing.
    pub flood: usize,
    /// For whatever is waited for, before it counts as never coming.
    pub within: Duration,
}

impl Size {
    pub const QUICK: Self = Self {
        clients: 300,
        away: Duration::from_secs(2),
        restarts: 3,
        drain_window: Duration::from_secs(8),
        stalled: 1000,
        malformed: 200,
        rounds: 2,
        flood: 1600,
        within: Duration::from_secs(120),
    };

    pub const FULL: Self = Self {
        clients: 5000,
        away: Duration::from_secs(10),
        restarts: 20,
        drain_window: Duration::from_secs(20),
        malformed: 10_000,
        rounds: 5,
        flood: 6000,
        ..Self::QUICK
    };
}

/// What was found, in words and figures.
pub type Findings = Vec<String>;

//! Every scenario: what it does, and what must hold.

use clap::ValueEnum;
use signal_harness::{Network, Server};
use signal_tests::faults::{
    Findings, backplane, clients, drain, flood, issuer, outage, silence, slow_network, slow_readers,
};

use crate::{
    Sizes,
    pipeline::{self, Fault},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Redis is killed under load and comes back.
    Outage,
    /// Redis is restarted again and again.
    Flapping,
    /// The worker is killed, again and again.
    Kills,
    /// Kafka, Postgres and Redis are stopped, one after the other.
    Outages,
    /// Two workers, then four, then one.
    Group,
    /// A hundred thousand recipients of one event, and a backlog behind it.
    Crowd,
    /// An edge is told to stop.
    Drain,
    /// A thousand clients stop reading.
    SlowReaders,
    /// Ten thousand of everything that nobody should say.
    Malformed,
    /// Sockets that want nothing.
    Flood,
    /// One of two edges loses the backplane in every way but a closed connection.
    Backplane,
    /// The worker is out of reach of what it needs.
    Partitions,
    /// Clients and their edge are out of each other's reach.
    Clients,
    /// The issuer hangs, or serves garbage.
    Issuer,
    /// 200 ms and held-up pieces, to clients and to Redis.
    SlowNetwork,
    /// A router drops packets.
    Silence,
    /// Three edges and two workers become another version, and then what they were.
    Rollout,
}

/// A row of the page.
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) holds: &'static str,
}

impl Scenario {
    pub(crate) const ALL: [Self; 17] = [
        Self::Outage,
        Self::Flapping,
        Self::Kills,
        Self::Outages,
        Self::Group,
        Self::Crowd,
        Self::Drain,
        Self::SlowReaders,
        Self::Malformed,
        Self::Flood,
        Self::Backplane,
        Self::Partitions,
        Self::Clients,
        Self::Issuer,
        Self::SlowNetwork,
        Self::Silence,
        Self::Rollout,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Why it can't be played here.
    pub(crate) fn lacks(self) -> Option<String> {
        if self == Self::Silence { Network::available().err() } else { None }
    }

    pub(crate) async fn play(self, sizes: Sizes) -> anyhow::Result<Findings> {
        match self {
            Self::Outage => outage::once(sizes.size).await,
            Self::Flapping => outage::again_and_again(sizes.size).await,
            Self::Kills => pipeline::stream(Fault::Kills, sizes).await,
            Self::Outages => pipeline::stream(Fault::Outages, sizes).await,
            Self::Group => pipeline::stream(Fault::Group, sizes).await,
            Self::Crowd => pipeline::crowd(sizes).await,
            Self::Drain => drain::play(sizes.size).await,
            Self::SlowReaders => slow_readers::play(sizes.size).await,
            Self::Malformed => pipeline::malformed(sizes).await,
            Self::Flood => flood::play(sizes.size).await,
            Self::Backplane => backplane::play(sizes.size).await,
            Self::Partitions => pipeline::stream(Fault::Partitions, sizes).await,
            Self::Clients => clients::play(sizes.size).await,
            Self::Issuer => issuer::play(sizes.size).await,
            Self::SlowNetwork => slow_network::play(sizes.size).await,
            Self::Silence => silence::play(sizes.size).await,
            Self::Rollout => pipeline::rollout(sizes).await,
        }
    }

    pub(crate) fn row(self) -> Row {
        let (fault, holds) = match self {
            Self::Outage => (
                "Redis killed for 10 s under load, then back; an operator speaks meanwhile",
                "No client dropped; channels subscribed again within 2 s; each client told `resync` once; after it nothing \
                 is missing; what is said on one edge reaches its clients meanwhile",
            ),
            Self::Flapping => (
                "Redis killed and started 20 times, some of them while edges subscribe again",
                "No client dropped, nothing missing after the last, no connections left over",
            ),
            Self::Kills => {
                ("The worker killed with SIGKILL 20 times, between pushes, inserts and their commits", PIPELINE)
            }
            Self::Outages => {
                ("Kafka, Postgres and Redis stopped for 30 s each, in random order, under a stream", PIPELINE)
            }
            Self::Group => (
                "The group grows from two workers to four and shrinks to one; one of those that go is killed",
                PIPELINE,
            ),
            Self::Crowd => (
                "One event to 100,000 people, and 50,000 records that wait behind it",
                "All rows and pushes, each once; the worker takes 150 MiB at most",
            ),
            Self::Drain => (
                "SIGTERM to an edge with 5,000 clients under load",
                "All told to reconnect, spread over the window; exit within the deadline; another edge takes them; nothing \
                 missing after `resync`",
            ),
            Self::SlowReaders => (
                "1,000 clients stop reading",
                "Closed with 4008, and nobody else; the others have everything in order; memory and files come back. The p99 \
                 of the others should stay within 1.5 times",
            ),
            Self::Malformed => (
                "10,000 malformed frames, tokens, HTTP requests, envelopes and records each",
                "Nothing crashes; each is counted, no more and no fewer; memory and open files come back after each round",
            ),
            Self::Flood => (
                "Floods of sockets that are silent, send their headers a byte at a time, never authenticate, or are half-open",
                "Memory and files bounded by the places that there are; clients are served and new ones let in",
            ),
            Self::Backplane => (
                "One of two edges is out of reach of Redis: half-open, silent in one direction, connections dead while new \
                 ones pass",
                "It notices and, while it hears nothing, is not ready and says that its answers are not complete; its \
                 clients are each told once and miss nothing; the other edge's notice nothing",
            ),
            Self::Partitions => (
                "Between the worker and Kafka, Postgres and Redis in turn: half-open, then dead connections while new ones \
                 pass; in the end 200 ms and losses to all three",
                PIPELINE,
            ),
            Self::Clients => (
                "Between clients and their edge: dead connections, silence, cuts within a frame",
                "Both ends notice; clients come back and miss nothing; the edge keeps nothing of those who are gone",
            ),
            Self::Issuer => (
                "The issuer hangs, then serves what is no JWK set, then a new key",
                "Known keys keep working; unknown ones are refused and counted; the new one is taken by itself",
            ),
            Self::SlowNetwork => (
                "200 ms, jitter and held-up pieces, to clients and to Redis",
                "Everything comes, in order, and nobody is dropped or told to read again",
            ),
            Self::Silence => (
                "A router between edge and Redis (network namespaces) loses 2 % of packets, then drops all of them",
                "With losses everything comes; the silence is noticed, the edge not ready, nobody dropped; afterwards nothing \
                 is missing",
            ),
            Self::Rollout => (
                "Three edges and two workers are replaced under load, as Kubernetes does it, and then back",
                "No push lost after `resync`, no row lost or doubled; nobody closed without being told; never fewer ready than \
                 asked for; reconnects bounded",
            ),
        };
        Row { fault, holds }
    }
}

const PIPELINE: &str = "No row lost, none doubled; every client knows every notification of its person, in order";

//! Which edges there are: a lease for each, renewed by what it announces.
//!
//! Hearing itself is how an edge knows that it hears: a lease can run out only while one's own announcements come
//! back. Whoever was deaf gives everybody a whole lease again, so that no outage makes the others disappear.

use std::{collections::HashMap, time::Duration};

use signal_wire::control::{Announcement, Counts};
use tokio::time::Instant;
use uuid::Uuid;

/// More edges than any cluster has; beyond it announcements are refused.
const MAX_PEERS: usize = 4096;

#[derive(Debug)]
pub(super) struct Membership {
    announce_every: Duration,
    lease: Duration,
    peers: HashMap<Uuid, Peer>,
    /// `None` while deaf.
    hearing: Option<Hearing>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    heard: Instant,
    counts: Counts,
    /// It left a question unanswered and has not been heard since.
    silent: bool,
}

/// One's own announcements come back.
#[derive(Clone, Copy, Debug)]
struct Hearing {
    since: Instant,
    last: Instant,
}

/// Whose answers make an answer complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) peers: Vec<Uuid>,
    /// Those of them for whom it is of no use to wait.
    pub(super) silent: Vec<Uuid>,
    /// Asking has a point.
    pub(super) hears: bool,
    /// Everybody who is there has had the time to say so.
    pub(super) settled: bool,
}

/// There are more edges than there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Membership {
    pub(super) fn new(announce_every: Duration, lease: Duration) -> Self {
        Self { announce_every, lease, peers: HashMap::new(), hearing: None }
    }

    /// Another edge announced itself.
    pub(super) fn heard(&mut self, edge: Uuid, announcement: &Announcement, now: Instant) -> Result<(), TooMany> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&edge) {
            return Err(TooMany);
        }
        self.peers.insert(edge, Peer { heard: now, counts: announcement.counts, silent: false });
        Ok(())
    }

    /// Another edge said goodbye.
    pub(super) fn left(&mut self, edge: Uuid) {
        self.peers.remove(&edge);
    }

    /// Others have not answered what they were asked at `asked`. One answer waits for them, and then none until they are
    /// heard again: a list of many pages would else wait for a dead edge at each.
    pub(super) fn unanswered<'a>(&mut self, edges: impl IntoIterator<Item = &'a Uuid>, asked: Instant) {
        for edge in edges {
            if let Some(peer) = self.peers.get_mut(edge).filter(|peer| peer.heard <= asked) {
                peer.silent = true;
            }
        }
    }

    /// One's own announcement came back.
    pub(super) fn echoed(&mut self, now: Instant) {
        match self.hearing {
            Some(hearing) if !self.is_deaf(hearing, now) => {
                self.hearing = Some(Hearing { last: now, ..hearing });
                let lease = self.lease;
                self.peers.retain(|_, peer| now.saturating_duration_since(peer.heard) <= lease);
            }
            _ => {
                self.hearing = Some(Hearing { since: now, last: now });
                self.peers.values_mut().for_each(|peer| peer.heard = now);
            }
        }
    }

    /// The backplane is gone.
    pub(super) fn lost(&mut self) {
        self.hearing = None;
    }

    pub(super) fn expected(&self, now: Instant) -> Expected {
        let hearing = self.hearing.filter(|hearing| !self.is_deaf(*hearing, now));
        Expected {
            peers: self.peers.keys().copied().collect(),
            silent: self.peers.iter().filter(|(_, peer)| peer.silent).map(|(edge, _)| *edge).collect(),
            hears: hearing.is_some(),
            settled: hearing.is_some_and(|hearing| now.saturating_duration_since(hearing.since) >= self.announce_every),
        }
    }

    pub(super) fn knows(&self, edge: Uuid) -> bool {
        self.peers.contains_key(&edge)
    }

    /// What all the others hold together.
    pub(super) fn counts(&self) -> Counts {
        self.peers.values().fold(Counts::default(), |sum, Peer { counts, .. }| Counts {
            connections: sum.connections.saturating_add(counts.connections),
            authenticated: sum.authenticated.saturating_add(counts.authenticated),
            users: sum.users.saturating_add(counts.users),
            rooms: sum.rooms.saturating_add(counts.rooms),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// A peer that fell silent together with the backplane must not run out first.
    fn is_deaf(&self, hearing: Hearing, now: Instant) -> bool {
        now.saturating_duration_since(hearing.last) > self.lease / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct World {
        membership: Membership,
        now: Instant,
    }

    impl World {
        /// Hears itself for a second.
        fn new() -> Self {
            let mut world = Self { membership: Membership::new(SECOND, 5 * SECOND), now: Instant::now() };
            world.membership.echoed(world.now);
            world.seconds(1);
            world
        }

        /// Seconds in which this edge hears itself and nobody else.
        fn seconds(&mut self, seconds: u32) {
            for _ in 0..seconds {
                self.now += SECOND;
                self.membership.echoed(self.now);
            }
        }

        fn hear(&mut self, edge: u128) {
            let counts = Counts { users: 2, ..Counts::default() };
            let announcement = Announcement { edge: String::new(), version: String::new(), started_at: 0, counts };
            self.membership.heard(Uuid::from_u128(edge), &announcement, self.now).unwrap();
        }

        fn expected(&self) -> (usize, bool, bool) {
            let Expected { peers, hears, settled, .. } = self.membership.expected(self.now);
            (peers.len(), hears, settled)
        }
    }

    #[test]
    fn who_is_silent_for_a_lease_is_gone_and_who_says_goodbye_at_once() {
        let mut world = World::new();
        world.hear(1);
        world.hear(2);
        world.hear(3);
        assert_eq!(world.membership.counts().users, 6);
        world.membership.left(Uuid::from_u128(2));
        assert_eq!(world.expected(), (2, true, true));
        world.seconds(4);
        world.hear(3);
        world.seconds(1);
        assert_eq!(world.expected(), (2, true, true));
        world.seconds(1);
        assert_eq!(world.expected(), (1, true, true));
    }

    #[test]
    fn who_has_just_begun_to_hear_does_not_know_everybody() {
        let mut membership = Membership::new(SECOND, 5 * SECOND);
        let now = Instant::now();
        let silence = Expected { peers: vec![], silent: vec![], hears: false, settled: false };
        assert_eq!(membership.expected(now), silence);
        membership.echoed(now);
        assert_eq!(membership.expected(now), Expected { hears: true, ..silence.clone() });
        let later = now + SECOND;
        assert_eq!(membership.expected(later), Expected { hears: true, settled: true, ..silence });
    }

    #[test]
    fn who_leaves_a_question_unanswered_is_not_waited_for_until_it_is_heard_again() {
        let mut world = World::new();
        world.hear(1);
        world.hear(2);
        let asked = world.now + SECOND;
        world.now = asked + SECOND / 2;
        world.hear(2);
        world.membership.unanswered(&[Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)], asked);
        let expected = world.membership.expected(world.now);
        assert_eq!(
            (expected.peers.len(), expected.silent),
            (2, vec![Uuid::from_u128(1)]),
            "the other was heard meanwhile"
        );
        world.hear(1);
        assert!(world.membership.expected(world.now).silent.is_empty());
    }

    #[test]
    fn nobody_is_gone_while_the_backplane_is() {
        let mut world = World::new();
        world.hear(1);
        world.membership.lost();
        world.now += 60 * SECOND;
        assert_eq!(world.expected(), (1, false, false));
        world.seconds(1);
        assert_eq!(world.expected(), (1, true, false));
        world.seconds(5);
        assert_eq!(world.expected(), (1, true, true), "a whole lease to be heard again");
        world.seconds(1);
        assert_eq!(world.expected(), (0, true, true));
    }

    #[test]
    fn a_backplane_that_goes_without_a_word_takes_nobody_along() {
        let mut world = World::new();
        world.hear(1);
        world.now += 3 * SECOND;
        assert_eq!(world.expected(), (1, false, false));
        world.now += 60 * SECOND;
        assert_eq!(world.expected(), (1, false, false));
        world.seconds(6);
        assert_eq!(world.expected(), (1, true, true));
    }

    #[test]
    fn there_is_an_end_to_edges() {
        let mut world = World::new();
        for edge in 0..MAX_PEERS as u128 {
            world.hear(edge);
        }
        let announcement =
            Announcement { edge: String::new(), version: String::new(), started_at: 0, counts: Counts::default() };
        let refused = world.membership.heard(Uuid::max(), &announcement, world.now);
        assert_eq!(refused, Err(TooMany));
        world.hear(7);
    }
}

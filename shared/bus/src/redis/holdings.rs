//! Which channels are held, and by how many. Pure: what is to be said to Redis comes out as [`Changes`].

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Holdings {
    counts: HashMap<String, usize>,
    /// Channels that were touched since the last [`Self::changes`], and whether they were held then.
    touched: HashMap<String, bool>,
}

/// What turns the channels held when it was last asked for into those held now. No channel is in both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) subscribe: Vec<String>,
    pub(super) unsubscribe: Vec<String>,
}

impl Holdings {
    pub(super) fn acquire(&mut self, channel: String) {
        let count = self.counts.entry(channel.clone()).or_default();
        self.touched.entry(channel).or_insert(*count > 0);
        *count += 1;
    }

    /// Letting go of what is not held is nothing.
    pub(super) fn release(&mut self, channel: String) {
        let Some(count) = self.counts.get_mut(&channel) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&channel);
        }
        self.touched.entry(channel).or_insert(true);
    }

    /// The difference since the last call; a channel that came and went in between is not in it.
    pub(super) fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (channel, was_held) in self.touched.drain() {
            match (was_held, self.counts.contains_key(&channel)) {
                (false, true) => changes.subscribe.push(channel),
                (true, false) => changes.unsubscribe.push(channel),
                _ => {}
            }
        }
        changes
    }

    /// Everything that is held, for a connection on which nothing is subscribed yet.
    pub(super) fn all(&mut self) -> Vec<String> {
        self.touched.clear();
        self.counts.keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Acquire(u8),
        Release(u8),
        Say,
        Reconnect,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few names, so that they meet; commands are seldom said, so that steps gather.
        prop_oneof![
            5 => (0..4u8).prop_map(Step::Acquire),
            5 => (0..4u8).prop_map(Step::Release),
            2 => Just(Step::Say),
            1 => Just(Step::Reconnect),
        ]
    }

    fn name(number: u8) -> String {
        format!("c{number}")
    }

    /// A connection as Redis sees it, which would also count commands that change nothing as mistakes.
    #[derive(Default)]
    struct Server(BTreeSet<String>);

    impl Server {
        fn hear(&mut self, changes: Changes) {
            for channel in changes.unsubscribe {
                assert!(self.0.remove(&channel), "{channel} was not subscribed");
            }
            for channel in changes.subscribe {
                assert!(self.0.insert(channel.clone()), "{channel} was subscribed");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_subscribed_is_what_is_held(steps in prop::collection::vec(step(), 0..200)) {
            let (mut holdings, mut server) = (Holdings::default(), Server::default());
            let mut held: BTreeMap<String, usize> = BTreeMap::new();
            for step in steps.into_iter().chain([Step::Say]) {
                match step {
                    Step::Acquire(number) => {
                        holdings.acquire(name(number));
                        *held.entry(name(number)).or_default() += 1;
                        continue;
                    }
                    Step::Release(number) => {
                        holdings.release(name(number));
                        if let Some(count) = held.get_mut(&name(number)) {
                            *count = count.saturating_sub(1);
                        }
                        continue;
                    }
                    Step::Say => server.hear(holdings.changes()),
                    Step::Reconnect => server = Server(holdings.all().into_iter().collect()),
                }
                held.retain(|_, count| *count > 0);
                prop_assert!(server.0.iter().eq(held.keys()), "{:?} {:?}", server.0, held);
                prop_assert_eq!(holdings.len(), held.len());
            }
        }
    }

    #[test]
    fn what_comes_and_goes_costs_no_command() {
        let mut holdings = Holdings::default();
        holdings.acquire("a".to_owned());
        holdings.release("a".to_owned());
        assert_eq!(holdings.changes(), Changes::default());
        holdings.acquire("a".to_owned());
        assert_eq!(holdings.changes().subscribe, ["a"]);
        holdings.release("a".to_owned());
        holdings.acquire("a".to_owned());
        assert_eq!(holdings.changes(), Changes::default());
    }
}

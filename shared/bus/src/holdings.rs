//! Which channels are held, and by how many. Pure: what is to be said to the backplane comes out as [`Changes`].

use std::collections::{HashMap, hash_map::Entry};

#[derive(Debug, Default)]
pub(crate) struct Holdings {
    held: HashMap<String, Holding>,
    /// Channels that came or went since the last [`Self::changes`], and the number that each had then if it was held.
    touched: HashMap<String, Option<u64>>,
    numbers: u64,
}

#[derive(Debug)]
struct Holding {
    count: usize,
    number: u64,
}

/// A channel, and a number that no other channel of its subscription ever has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) channel: String,
    pub(crate) number: u64,
}

/// What turns the channels held when it was last asked for into those held now. No channel is in both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) subscribe: Vec<Held>,
    pub(crate) unsubscribe: Vec<Held>,
}

impl Holdings {
    pub(crate) fn acquire(&mut self, channel: String) {
        match self.held.entry(channel) {
            Entry::Occupied(mut entry) => entry.get_mut().count += 1,
            Entry::Vacant(entry) => {
                // One that is still subscribed keeps its number.
                let known = *self.touched.entry(entry.key().clone()).or_insert(None);
                let number = known.unwrap_or_else(|| {
                    self.numbers += 1;
                    self.numbers
                });
                entry.insert(Holding { count: 1, number });
            }
        }
    }

    /// Letting go of what is not held is nothing.
    pub(crate) fn release(&mut self, channel: String) {
        let Entry::Occupied(mut entry) = self.held.entry(channel) else { return };
        entry.get_mut().count -= 1;
        if entry.get().count == 0 {
            let (channel, Holding { number, .. }) = entry.remove_entry();
            self.touched.entry(channel).or_insert(Some(number));
        }
    }

    /// The difference since the last call; a channel that came and went in between is not in it.
    pub(crate) fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (channel, known) in self.touched.drain() {
            match (known, self.held.get(&channel)) {
                (None, Some(&Holding { number, .. })) => changes.subscribe.push(Held { channel, number }),
                (Some(number), None) => changes.unsubscribe.push(Held { channel, number }),
                _ => {}
            }
        }
        changes
    }

    /// Everything that is held, with its number, for a connection on which nothing is subscribed yet.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = (&str, u64)> {
        self.touched.clear();
        self.held.iter().map(|(channel, holding)| (channel.as_str(), holding.number))
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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

    /// A connection as a server sees it, which would also count commands that change nothing as mistakes.
    #[derive(Default)]
    struct Server(BTreeMap<String, u64>);

    impl Server {
        fn hear(&mut self, changes: Changes) {
            for Held { channel, number } in changes.unsubscribe {
                assert_eq!(self.0.remove(&channel), Some(number), "{channel} was not subscribed by that number");
            }
            for Held { channel, number } in changes.subscribe {
                assert!(self.0.values().all(|other| *other != number), "{number} is another's");
                assert_eq!(self.0.insert(channel.clone(), number), None, "{channel} was subscribed");
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
                    Step::Reconnect => {
                        server = Server(holdings.all().map(|(channel, number)| (channel.to_owned(), number)).collect());
                    }
                }
                held.retain(|_, count| *count > 0);
                prop_assert!(server.0.keys().eq(held.keys()), "{:?} {:?}", server.0, held);
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
        assert_eq!(holdings.changes().subscribe.len(), 1);
        holdings.release("a".to_owned());
        holdings.acquire("a".to_owned());
        assert_eq!(holdings.changes(), Changes::default());
    }
}

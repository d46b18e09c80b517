//! All that is going to be produced, and the rows that must come of it.

use std::collections::{BTreeSet, HashMap};

use signal_harness::Record;

use super::{event::Event, members::Members, random::Random};

/// An event comes again once in so many times, as from a producer that was not sure.
const REPEATED: usize = 20;
/// How much later, in records.
const LATER: (usize, usize) = (1, 200);

/// One person's copy of one event.
pub type Copy = (String, String);

#[derive(Debug)]
pub struct Plan {
    pub members: Members,
    pub events: usize,
    /// Keyed values, in the order in which they are produced.
    pub records: Vec<(String, String)>,
    /// To be produced behind everything else, one to each partition: once their rows are there, all before them have
    /// been handled, and what is not there will never come.
    pub last: Vec<Record>,
    /// Event and recipient of their rows.
    pub last_expected: BTreeSet<Copy>,
    /// Event and recipient of each row.
    pub expected: BTreeSet<Copy>,
    /// Of each event what must keep its order, and its place in it.
    pub order: HashMap<String, (String, usize)>,
}

impl Plan {
    pub fn generate(random: &mut Random, members: Members, events: usize, partitions: u32) -> Self {
        let mut plan = Self {
            events: events + partitions as usize,
            records: Vec::new(),
            last: Vec::new(),
            last_expected: BTreeSet::new(),
            expected: BTreeSet::new(),
            order: HashMap::new(),
            members,
        };
        let mut again: Vec<(usize, (String, String))> = Vec::new();
        for number in 0..events {
            let event = Event::generate(random, &plan.members, number);
            let record = (event.key().to_owned(), event.value().to_string());
            let copies = plan.expect(&event, event.key().to_owned());
            plan.expected.extend(copies);
            if random.once_in(REPEATED) {
                again.push((number + random.between(LATER.0, LATER.1), record.clone()));
            }
            plan.records.push(record);
            let (due, waiting): (Vec<_>, Vec<_>) = again.into_iter().partition(|(at, _)| *at <= number);
            plan.records.extend(due.into_iter().map(|(_, record)| record));
            again = waiting;
        }
        plan.records.extend(again.into_iter().map(|(_, record)| record));
        for partition in 0..partitions {
            let named = random.some(&plan.members.users, 3);
            let event = Event { number: events + partition as usize, named, amount: 1, ..Event::default() };
            // It has no key, as its partition is said.
            let copies = plan.expect(&event, format!("partition {partition}"));
            plan.last_expected.extend(copies.iter().cloned());
            plan.expected.extend(copies);
            plan.last.push(Record::new(event.value().to_string()).partition(partition));
        }
        plan
    }

    /// The copies of an event, which keeps its order among those of its key.
    fn expect(&mut self, event: &Event, key: String) -> Vec<Copy> {
        self.order.insert(event.id(), (key, event.number));
        event.recipients(&self.members).into_iter().map(|user| (event.id(), user)).collect()
    }

    /// How many rows one person must have.
    pub fn expected_of(&self, user: &str) -> usize {
        self.expected.iter().filter(|(_, recipient)| recipient == user).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::members::AUDIENCE;

    #[test]
    fn every_audience_has_its_size_and_some_events_come_again() {
        let mut random = Random::new(3);
        let members = Members::generate(&mut random, 300, 40, 8);
        let plan = Plan::generate(&mut random, members, 400, 6);
        assert_eq!((plan.events, plan.last.len(), plan.order.len()), (406, 6, 406));
        assert!((401..450).contains(&plan.records.len()), "{}", plan.records.len());
        let mut audiences: HashMap<&str, usize> = HashMap::new();
        for (event, _) in &plan.expected {
            *audiences.entry(event).or_default() += 1;
        }
        assert_eq!(audiences.len(), 406);
        assert!(audiences.values().all(|size| (AUDIENCE.0..=AUDIENCE.1).contains(size)));
        let distinct: BTreeSet<&(String, String)> = plan.records.iter().collect();
        assert_eq!(distinct.len(), 400);
    }
}

//! What this worker did with the events that it saw last, in memory and bounded, so that `explain` can say what was
//! pushed when. It outlives neither the process nor [`REMEMBERED`] further events.

pub mod answer;

use std::collections::VecDeque;

use parking_lot::Mutex;
use signal_wire::journal::Entry;
use time::OffsetDateTime;

/// How many events are remembered: some megabytes.
pub const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub struct Journal {
    since: OffsetDateTime,
    entries: Mutex<VecDeque<Entry>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { since: OffsetDateTime::now_utc(), entries: Mutex::default() }
    }
}

impl Journal {
    /// Adds what became of a batch's events, in their order.
    pub fn write(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut kept = self.entries.lock();
        for entry in entries {
            if kept.len() == REMEMBERED {
                kept.pop_front();
            }
            kept.push_back(entry);
        }
    }

    /// What is remembered of an event, oldest first; a redelivered event has several entries. An event that could not
    /// be read has no id, and is known by its position.
    pub fn of(&self, event: &str) -> Vec<Entry> {
        let is_meant = |entry: &&Entry| entry.event_id == event || entry.position == event;
        self.entries.lock().iter().filter(is_meant).cloned().collect()
    }

    /// From when on this journal knows all.
    pub fn since(&self) -> OffsetDateTime {
        let entries = self.entries.lock();
        let full = entries.len() == REMEMBERED;
        entries.front().filter(|_| full).map_or(self.since, |entry| entry.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event_id: String) -> Entry {
        Entry { event_id, ..Entry::of("t/0/1".into()) }
    }

    #[test]
    fn the_oldest_make_room_and_it_says_from_when_on_it_knows_all() {
        let journal = Journal::default();
        let begun = journal.since();
        journal.write([entry("first".into()), entry("again".into()), entry("again".into())]);
        assert_eq!((journal.of("first").len(), journal.of("again").len(), journal.since()), (1, 2, begun));
        journal.write((0..REMEMBERED - 2).map(|n| entry(n.to_string())));
        assert_eq!((journal.of("first").len(), journal.of("again").len()), (0, 2));
        assert_eq!(journal.since(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(journal.of("t/0/1").len(), REMEMBERED, "by position, too");
    }
}

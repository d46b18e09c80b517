//! Which offsets may be committed: those of partitions that are ours, up to what has been persisted.
//!
//! A partition that goes and comes back is not the one it was: another worker may have moved its offset. Each
//! assignment therefore has an epoch, and what was read in an earlier one counts no more.

use std::collections::HashMap;

/// What one batch read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    /// The offset behind the last record.
    pub(super) next: i64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    owned: HashMap<i32, Owned>,
    epoch: u64,
}

#[derive(Debug)]
struct Owned {
    epoch: u64,
    /// Behind what has been persisted.
    done: Option<i64>,
    /// What the broker was asked to keep, and what it is known to have kept. librdkafka does not say how a commit
    /// went, but its statistics show where a partition stands.
    sent: Option<i64>,
    kept: Option<i64>,
    doubtful: bool,
}

impl Ledger {
    /// Partitions became ours. Where the group begins with them, `first` says at which offset, which is to be
    /// committed.
    pub(super) fn assign(&mut self, partitions: impl IntoIterator<Item = i32>, first: &[(i32, i64)]) {
        self.epoch += 1;
        let epoch = self.epoch;
        for partition in partitions {
            let done = first.iter().find(|(of, _)| *of == partition).map(|(_, offset)| *offset);
            self.owned.insert(partition, Owned { epoch, done, sent: None, kept: None, doubtful: false });
        }
    }

    pub(super) fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.owned.remove(&partition);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.owned.len()
    }

    /// The epoch in which the partition is ours, if it is.
    pub(super) fn epoch(&self, partition: i32) -> Option<u64> {
        self.owned.get(&partition).map(|owned| owned.epoch)
    }

    /// A batch was persisted. Marks of partitions that are no longer ours are dropped.
    pub(super) fn done(&mut self, marks: &[Mark]) {
        for mark in marks {
            if let Some(owned) = self.owned.get_mut(&mark.partition).filter(|owned| owned.epoch == mark.epoch) {
                owned.done = owned.done.max(Some(mark.next));
            }
        }
    }

    /// What is persisted and was not sent yet, as partition and offset; counts as sent from here on.
    pub(super) fn take_unsent(&mut self) -> Vec<(i32, i64)> {
        let take = |(partition, owned): (&i32, &mut Owned)| {
            let next = owned.done.filter(|done| owned.sent < Some(*done))?;
            (owned.sent, owned.doubtful) = (Some(next), false);
            Some((*partition, next))
        };
        self.owned.iter_mut().filter_map(take).collect()
    }

    /// Where the broker has a partition. Returns whether a commit has failed: what was sent before the last look is
    /// still not there. It will be sent again.
    pub(super) fn observe(&mut self, partition: i32, kept: i64) -> bool {
        let Some(owned) = self.owned.get_mut(&partition) else { return false };
        owned.kept = Some(kept);
        let missing = owned.sent.is_some() && owned.sent != owned.kept;
        let failed = missing && owned.doubtful;
        owned.doubtful = missing && !failed;
        if failed {
            owned.sent = None;
        }
        failed
    }

    /// Sends again what is not known to be kept. Before a partition goes nobody can wait for certainty.
    pub(super) fn doubt_all(&mut self) {
        for owned in self.owned.values_mut().filter(|owned| owned.sent != owned.kept) {
            owned.sent = None;
        }
    }
}

/// One mark for each partition, from the epochs and offsets of a batch in order.
pub(super) fn marks(records: impl IntoIterator<Item = (i32, u64, i64)>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (partition, epoch, offset) in records {
        match marks.iter_mut().find(|mark| mark.partition == partition && mark.epoch == epoch) {
            Some(mark) => mark.next = mark.next.max(offset + 1),
            None => marks.push(Mark { partition, epoch, next: offset + 1 }),
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.assign([0, 1], &[]);
        ledger
    }

    fn mark(ledger: &Ledger, partition: i32, offset: i64) -> Vec<Mark> {
        marks([(partition, ledger.epoch(partition).unwrap(), offset)])
    }

    #[test]
    fn nothing_is_committed_before_it_is_done_and_nothing_twice() {
        let mut ledger = ledger();
        let marks = mark(&ledger, 0, 41);
        assert_eq!(ledger.take_unsent(), []);
        ledger.done(&marks);
        assert_eq!(ledger.take_unsent(), [(0, 42)]);
        assert_eq!(ledger.take_unsent(), []);
    }

    #[test]
    fn where_a_group_begins_is_committed() {
        let mut ledger = Ledger::default();
        ledger.assign([0, 1], &[(1, 7)]);
        assert_eq!(ledger.take_unsent(), [(1, 7)]);
    }

    #[test]
    fn what_is_no_longer_ours_is_not_committed() {
        let mut ledger = ledger();
        let marks = [mark(&ledger, 0, 41), mark(&ledger, 1, 7)].concat();
        ledger.revoke([0]);
        ledger.done(&marks);
        assert_eq!(ledger.take_unsent(), [(1, 8)]);
    }

    #[test]
    fn a_partition_that_came_back_is_another_one() {
        let mut ledger = ledger();
        let late = mark(&ledger, 0, 41);
        ledger.revoke([0]);
        ledger.assign([0], &[]);
        ledger.done(&late);
        assert_eq!(ledger.take_unsent(), []);
        let fresh = mark(&ledger, 0, 99);
        ledger.done(&fresh);
        assert_eq!(ledger.take_unsent(), [(0, 100)]);
    }

    #[test]
    fn offsets_never_go_back() {
        let mut ledger = ledger();
        let (early, late) = (mark(&ledger, 0, 1), mark(&ledger, 0, 5));
        ledger.done(&late);
        ledger.done(&early);
        assert_eq!(ledger.take_unsent(), [(0, 6)]);
    }

    #[test]
    fn a_commit_that_does_not_arrive_is_made_again() {
        let mut ledger = ledger();
        let marks = mark(&ledger, 0, 1);
        ledger.done(&marks);
        ledger.take_unsent();
        assert!(!ledger.observe(0, -1001), "it may be on its way");
        assert!(ledger.observe(0, -1001));
        assert_eq!(ledger.take_unsent(), [(0, 2)]);
        assert!(!ledger.observe(0, 2));
        assert!(!ledger.observe(0, 2));
        assert_eq!(ledger.take_unsent(), []);
    }

    #[test]
    fn a_commit_that_a_later_one_covers_is_not_missed() {
        let mut ledger = ledger();
        for offset in 0..4 {
            let marks = mark(&ledger, 0, offset);
            ledger.done(&marks);
            assert_eq!(ledger.take_unsent(), [(0, offset + 1)]);
            assert!(!ledger.observe(0, offset), "the last one, not this one");
        }
    }

    #[test]
    fn what_may_not_have_arrived_is_sent_before_a_partition_goes() {
        let mut ledger = ledger();
        let marks = [mark(&ledger, 0, 1), mark(&ledger, 1, 1)].concat();
        ledger.done(&marks);
        ledger.take_unsent();
        ledger.observe(1, 2);
        ledger.doubt_all();
        assert_eq!(ledger.take_unsent(), [(0, 2)]);
    }

    #[test]
    fn a_batch_has_one_mark_for_each_partition() {
        let expected = [Mark { partition: 0, epoch: 1, next: 6 }, Mark { partition: 1, epoch: 1, next: 1 }];
        assert_eq!(marks([(0, 1, 4), (1, 1, 0), (0, 1, 5)]), expected);
    }
}

//! Letters that are not kept yet, and how each is to be written so that the topic takes it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use time::OffsetDateTime;

use super::letter::{self, LeftOut};
use crate::{record::Record, rejection::Rejected};

/// A rejected record that is not kept yet, and how it is to be written.
pub(super) struct Pending<'a> {
    pub(super) rejected: &'a Rejected,
    /// A broker measures what it is sent at once: a letter is too large only when it was alone.
    pub(super) alone: bool,
    pub(super) left_out: LeftOut,
    dated: bool,
}

/// What is to be done about a letter that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    TooLarge,
    Time,
    Wait,
}

impl<'a> Pending<'a> {
    pub(super) fn new(rejected: &'a Rejected) -> Self {
        // A producer takes a time of 0 for none, and there is none before it.
        let dated = rejected.record.timestamp.is_none_or(|at| unix_ms(at) > 0);
        Self { rejected, alone: false, left_out: LeftOut::Nothing, dated }
    }

    pub(super) fn compose(&self) -> Record {
        letter::compose(self.rejected, self.left_out, self.dated)
    }

    /// Whether there is another way to write it, which it then has.
    pub(super) fn adapt(&mut self, verdict: Verdict) -> bool {
        match (verdict, self.left_out) {
            (Verdict::TooLarge, _) if !self.alone => self.alone = true,
            (Verdict::TooLarge, LeftOut::Nothing) => self.left_out = LeftOut::Value,
            (Verdict::TooLarge, LeftOut::Value) => self.left_out = LeftOut::Everything,
            (Verdict::Time, _) if self.dated => self.dated = false,
            _ => return false,
        }
        true
    }
}

/// Anything that is not for the letter itself may pass.
pub(super) fn verdict(error: &KafkaError) -> Verdict {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge) => Verdict::TooLarge,
        Some(RDKafkaErrorCode::InvalidTimestamp) => Verdict::Time,
        _ => Verdict::Wait,
    }
}

/// What a producer takes for a time.
pub(super) fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use signal_wire::activity::Malformed;

    use super::*;
    use crate::record::Position;

    fn rejected(unix_timestamp: i64) -> Rejected {
        let record = Record {
            position: Position { topic: "t".into(), partition: 0, offset: 0 },
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp: OffsetDateTime::from_unix_timestamp(unix_timestamp).ok(),
        };
        Rejected { record, rejection: Malformed::Empty.into() }
    }

    #[test]
    fn each_refusal_leaves_less_until_nothing_is_left_to_leave_out() {
        let rejected = rejected(1);
        let mut letter = Pending::new(&rejected);
        assert!(!letter.adapt(Verdict::Wait));
        for left_out in [LeftOut::Nothing, LeftOut::Value, LeftOut::Everything] {
            assert!(letter.adapt(Verdict::TooLarge));
            assert_eq!((letter.alone, letter.left_out), (true, left_out));
        }
        assert!(!letter.adapt(Verdict::TooLarge));
        assert!(letter.adapt(Verdict::Time) && !letter.adapt(Verdict::Time));
    }

    #[test]
    fn a_time_that_a_producer_cannot_write_is_written_down() {
        for (at, dated) in [(1, true), (0, false), (-1, false)] {
            assert_eq!(Pending::new(&rejected(at)).compose().timestamp.is_some(), dated, "{at}");
        }
    }

    #[test]
    fn only_what_is_wrong_with_the_letter_is_not_waited_for() {
        for (code, expected) in [
            (RDKafkaErrorCode::MessageSizeTooLarge, Verdict::TooLarge),
            (RDKafkaErrorCode::MessageBatchTooLarge, Verdict::TooLarge),
            (RDKafkaErrorCode::InvalidTimestamp, Verdict::Time),
            (RDKafkaErrorCode::UnknownTopic, Verdict::Wait),
            (RDKafkaErrorCode::UnknownTopicOrPartition, Verdict::Wait),
            (RDKafkaErrorCode::TopicAuthorizationFailed, Verdict::Wait),
            (RDKafkaErrorCode::NotEnoughReplicas, Verdict::Wait),
            (RDKafkaErrorCode::QueueFull, Verdict::Wait),
            (RDKafkaErrorCode::InvalidRecord, Verdict::Wait),
            (RDKafkaErrorCode::MessageTimedOut, Verdict::Wait),
        ] {
            assert_eq!(verdict(&KafkaError::MessageProduction(code)), expected, "{code:?}");
        }
        assert_eq!(verdict(&KafkaError::Canceled), Verdict::Wait);
    }
}

//! What a dead letter looks like: the record as it came, and behind its headers why it is here and where from, under the
//! names that Kafka Connect gives them.
//!
//! Headers are added, never replaced, as Connect does: whatever a record brought stays, and of a name that is there
//! twice the last one counts. A record that was a dead letter before and has been produced again by hand therefore
//! speaks of its newest fate.

use bytes::Bytes;
use signal_wire::timestamp;

use crate::{
    record::{Position, Record},
    rejection::Rejected,
};

/// The first of those that are added: what is before it is the record's own.
pub const TOPIC: &str = "__connect.errors.topic";
pub const PARTITION: &str = "__connect.errors.partition";
pub const OFFSET: &str = "__connect.errors.offset";
pub const CLASS: &str = "__connect.errors.exception.class.name";
pub const MESSAGE: &str = "__connect.errors.exception.message";
/// What was too large to be kept, if anything was.
pub const LEFT_OUT: &str = "__signal.errors.left.out";
pub const VALUE_BYTES: &str = "__signal.errors.value.bytes";
/// The record's time, where the topic does not take it.
pub const TIMESTAMP: &str = "__signal.errors.timestamp";

/// Stands before a rejection's label in [`CLASS`], and tells Signal's reasons from those of others.
const CLASS_PREFIX: &str = "signal.";

/// What of a record is not in its letter, for being larger than the topic takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftOut {
    #[default]
    Nothing,
    Value,
    /// All that came with the record: what is left says where it is.
    Everything,
}

impl LeftOut {
    /// The label under which it is counted, and the text of its header.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Value => "value",
            Self::Everything => "key,value,headers",
        }
    }

    fn read(text: &[u8]) -> Self {
        match text {
            b"value" => Self::Value,
            b"key,value,headers" => Self::Everything,
            _ => Self::Nothing,
        }
    }
}

/// The letter of a rejected record. `dated` says whether the record's time goes with it.
pub fn compose(rejected: &Rejected, left_out: LeftOut, dated: bool) -> Record {
    let Rejected { record, rejection } = rejected;
    let mut letter = record.clone();
    match left_out {
        LeftOut::Nothing => {}
        LeftOut::Value => letter.value = None,
        LeftOut::Everything => (letter.key, letter.value, letter.headers) = (None, None, Vec::new()),
    }
    let mut add = |name: &str, text: String| letter.headers.push((name.to_owned(), Some(Bytes::from(text))));
    let Position { topic, partition, offset } = &record.position;
    add(TOPIC, topic.to_string());
    add(PARTITION, partition.to_string());
    add(OFFSET, offset.to_string());
    add(CLASS, format!("{CLASS_PREFIX}{}", rejection.label()));
    add(MESSAGE, rejection.to_string());
    if left_out != LeftOut::Nothing {
        add(LEFT_OUT, left_out.label().to_owned());
        add(VALUE_BYTES, record.value.as_ref().map_or(0, Bytes::len).to_string());
    }
    if let (false, Some(at)) = (dated, record.timestamp) {
        add(TIMESTAMP, timestamp::format(at));
        letter.timestamp = None;
    }
    letter
}

/// A letter as it was read.
#[derive(Clone, Debug)]
pub struct Letter {
    /// At its position on the topic of dead letters.
    pub record: Record,
    /// Where it was before; `None` if no header says so, because somebody else has written it.
    pub origin: Option<Position>,
    /// A rejection's label, or whatever another writer calls it.
    pub reason: String,
    pub message: String,
    pub left_out: LeftOut,
}

impl Letter {
    pub fn read(record: Record) -> Self {
        let text = |name| record.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let number = |name| text(name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let origin = || {
            let topic = text(TOPIC).filter(|topic| !topic.is_empty())?;
            let (partition, offset) = (number(PARTITION)?.parse().ok()?, number(OFFSET)?.parse().ok()?);
            Some(Position { topic: topic.into(), partition, offset })
        };
        let class = text(CLASS).unwrap_or_default();
        Self {
            origin: origin(),
            reason: class.strip_prefix(CLASS_PREFIX).map_or_else(|| class.clone(), str::to_owned),
            message: text(MESSAGE).unwrap_or_default(),
            left_out: record.headers[own(&record)..]
                .iter()
                .find(|(name, _)| name == LEFT_OUT)
                .map_or(LeftOut::Nothing, |(_, value)| LeftOut::read(value.as_deref().unwrap_or_default())),
            record,
        }
    }

    /// The record as it was at its origin, as far as the letter has it.
    pub fn restored(&self) -> Option<Record> {
        let mut record = Record { position: self.origin.clone()?, ..self.record.clone() };
        record.headers.truncate(own(&self.record));
        Some(record)
    }
}

/// How many headers are the record's own.
fn own(record: &Record) -> usize {
    record.headers.iter().rposition(|(name, _)| name == TOPIC).unwrap_or(record.headers.len())
}

#[cfg(test)]
mod tests {
    use signal_wire::activity::Malformed;

    use super::*;
    use crate::{compose::ComposeError, rejection::Rejection};

    fn rejected(headers: &[(&str, Option<&'static [u8]>)]) -> Rejected {
        let header =
            |(name, value): &(&str, Option<&'static [u8]>)| ((*name).to_owned(), value.map(Bytes::from_static));
        let record = Record {
            position: Position { topic: "events".into(), partition: 3, offset: 41 },
            key: Some(Bytes::from_static(b"\xffkey")),
            value: Some(Bytes::from_static(b"{\0")),
            headers: headers.iter().map(header).collect(),
            timestamp: timestamp::parse("2026-11-23T08:51:04.867Z"),
        };
        Rejected { record, rejection: Rejection::Malformed(Malformed::NotJson) }
    }

    /// The headers behind so many, as `name=value`.
    fn added(letter: &Record, from: usize) -> Vec<String> {
        let text = |(name, value): &(String, Option<Bytes>)| {
            format!("{name}={}", std::str::from_utf8(value.as_deref().unwrap()).unwrap())
        };
        letter.headers[from..].iter().map(text).collect()
    }

    #[test]
    fn a_letter_is_the_record_with_headers_behind_its_own() {
        let headers = [("a", Some(&b"1"[..])), ("a", None), ("\u{1f600}", Some(b"")), ("a", Some(b"\xff,=\n"))];
        let rejected = rejected(&headers);
        let letter = compose(&rejected, LeftOut::Nothing, true);
        assert_eq!(letter.headers[..4], rejected.record.headers);
        assert_eq!(
            added(&letter, 4),
            [
                "__connect.errors.topic=events",
                "__connect.errors.partition=3",
                "__connect.errors.offset=41",
                "__connect.errors.exception.class.name=signal.not_json",
                "__connect.errors.exception.message=the value is not JSON",
            ]
        );
        let Record { key, value, timestamp, .. } = rejected.record.clone();
        assert_eq!((letter.key.clone(), letter.value.clone(), letter.timestamp), (key, value, timestamp));

        let read = Letter::read(letter);
        assert_eq!((read.reason.as_str(), read.message.as_str()), ("not_json", "the value is not JSON"));
        assert_eq!((read.left_out, read.restored()), (LeftOut::Nothing, Some(rejected.record)));
    }

    #[test]
    fn of_two_fates_the_newest_counts_and_both_are_kept() {
        let first = compose(&rejected(&[("a", None)]), LeftOut::Value, false);
        let again = Record { position: Position { topic: "events".into(), partition: 0, offset: 99 }, ..first };
        let rejection = Rejection::Compose(ComposeError::Missing("amount"));
        let second = compose(&Rejected { record: again.clone(), rejection }, LeftOut::Nothing, true);
        assert_eq!(second.headers[..again.headers.len()], again.headers);
        let read = Letter::read(second);
        assert_eq!((read.reason.as_str(), read.left_out), ("missing_data", LeftOut::Nothing));
        assert_eq!(read.restored(), Some(again), "with the headers of its first fate, which are its own by now");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let rejected = rejected(&[("a", Some(b"1"))]);
        let without_value = compose(&rejected, LeftOut::Value, true);
        assert_eq!((&without_value.key, &without_value.value), (&rejected.record.key, &None));
        assert_eq!(added(&without_value, 6), ["__signal.errors.left.out=value", "__signal.errors.value.bytes=2"]);
        let bare = compose(&rejected, LeftOut::Everything, false);
        assert_eq!((&bare.key, &bare.value, bare.timestamp), (&None, &None, None));
        assert_eq!(
            added(&bare, 5),
            [
                "__signal.errors.left.out=key,value,headers",
                "__signal.errors.value.bytes=2",
                "__signal.errors.timestamp=2026-11-23T08:51:04.867Z",
            ]
        );
        for (letter, left_out) in [(without_value, LeftOut::Value), (bare, LeftOut::Everything)] {
            let read = Letter::read(letter);
            assert_eq!((read.left_out, read.origin), (left_out, Some(rejected.record.position.clone())));
        }
    }

    #[test]
    fn letters_of_others_are_read_as_far_as_they_go() {
        let with = |headers: &[(&str, Option<&'static [u8]>)]| Letter::read(rejected(headers).record);
        let none = with(&[]);
        assert_eq!((none.origin.clone(), none.reason.as_str(), none.restored()), (None, "", None));
        let class = "org.apache.kafka.connect.errors.DataException";
        let connects = with(&[
            (TOPIC, Some(b"t")),
            (PARTITION, Some(b"0")),
            (OFFSET, Some(b"7")),
            (CLASS, Some(class.as_bytes())),
        ]);
        assert_eq!((connects.origin.unwrap().to_string(), connects.reason), ("t/0/7".to_owned(), class.to_owned()));
        for bad in [&b"-1"[..], b"", b"x", b"\xff", b"99999999999999999999"] {
            assert_eq!(with(&[(TOPIC, Some(b"t")), (PARTITION, Some(b"0")), (OFFSET, Some(bad))]).origin, None);
        }
        assert_eq!(with(&[(TOPIC, None), (PARTITION, Some(b"0")), (OFFSET, Some(b"1"))]).origin, None);
    }
}

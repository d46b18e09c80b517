//! What the pipeline takes in, whatever it is read from.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use signal_wire::snowflake;
use time::OffsetDateTime;

/// One record of a topic, with all that is needed to write it once more as it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    pub key: Option<Bytes>,
    /// `None` is a tombstone, which is not the same as a value without bytes.
    pub value: Option<Bytes>,
    /// In their order; a name may come twice, and a header may have no value.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// When it was produced or appended, as the topic is configured.
    pub timestamp: Option<OffsetDateTime>,
}

impl Record {
    /// The last header of a name, as Kafka's own clients read them.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().rev().find(|(header, _)| header == name)?;
        value.as_deref()
    }

    /// When it was produced, if that can be: not in the future, and not before the epoch of the platform's ids, as a
    /// producer's time is that writes seconds for milliseconds.
    pub fn plausible_time(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let epoch = i128::from(snowflake::EPOCH_MS) * 1_000_000;
        self.timestamp.filter(|at| *at <= now && at.unix_timestamp_nanos() >= epoch)
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let header = |(name, value): &(String, Option<Bytes>)| name.len() + value.as_ref().map_or(0, Bytes::len);
        let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        part(&self.key) + part(&self.value) + self.headers.iter().map(header).sum::<usize>()
    }
}

/// Where a record is; an event that brings no id is known by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Not the `{topic}/{partition}/{offset}` that [`Position`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected topic/partition/offset")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let mut parts = text.rsplitn(3, '/');
        let mut number = || parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (offset, partition) = (number().ok_or(NoPosition)?, number().ok_or(NoPosition)?);
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or(NoPosition)?;
        let partition = partition.parse().map_err(|_| NoPosition)?;
        let offset = offset.parse().map_err(|_| NoPosition)?;
        Ok(Self { topic: topic.into(), partition, offset })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys, values and headers are people's payments: they are not for logs.
        write!(f, "Record({}, {} bytes)", self.position, self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_what_they_write() {
        let position = Position { topic: "a.b/c".into(), partition: 3, offset: 41 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "a", "a/1", "/1/2", "a/1/x", "a/-1/2", "a/1/2/", "a/1/99999999999999999999"] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_none() {
        let at = |text| signal_wire::timestamp::parse(text).unwrap();
        let now = at("2026-11-23T08:00:00Z");
        let record = |timestamp| Record {
            position: Position { topic: "t".into(), partition: 0, offset: 0 },
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp,
        };
        for (text, plausible) in [
            ("2026-11-23T08:00:00Z", true),
            ("2026-11-23T08:00:00.001Z", false),
            ("2025-01-01T00:00:00Z", true),
            ("2024-12-31T23:59:59.999Z", false),
            ("1970-01-21T18:43:40Z", false),
        ] {
            let expected = plausible.then(|| at(text));
            assert_eq!(record(Some(at(text))).plausible_time(now), expected, "{text}");
        }
        assert_eq!(record(None).plausible_time(now), None);
    }

    #[test]
    fn the_last_header_of_a_name_counts() {
        let record = Record {
            position: Position { topic: "t".into(), partition: 0, offset: 0 },
            key: None,
            value: Some(Bytes::from_static(b"hunter2")),
            headers: vec![
                ("a".into(), Some(Bytes::from_static(b"1"))),
                ("b".into(), None),
                ("a".into(), Some(Bytes::from_static(b"2"))),
            ],
            timestamp: None,
        };
        assert_eq!((record.header("a"), record.header("b"), record.header("c")), (Some(&b"2"[..]), None, None));
        assert_eq!(record.bytes(), 7 + 2 + 1 + 2);
        assert!(!format!("{record:?}").contains("hunter2"));
    }
}

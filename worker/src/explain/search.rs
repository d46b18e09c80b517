//! Finds the records of an event in a topic. Kafka has no index of values: it is read, as little of it as may do.

use signal_wire::activity::{ActivityEvent, MAX_BYTES};
use time::{Duration, OffsetDateTime};

use crate::{
    consume::range::{RangeError, Slice, Topic},
    record::{Position, Record},
};

/// A record is older than its rows, by the lag that there was.
const LONGEST_LAG: Duration = Duration::hours(1);
/// Clocks of producers, brokers and workers differ.
const CLOCK_SKEW: Duration = Duration::minutes(1);
/// A producer that repeats itself more often than this is known by then.
const MAX_FOUND: usize = 20;

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Where {
    /// Around the time at which its first row was written, and if it is not there, everywhere.
    Near(OffsetDateTime),
    From(OffsetDateTime),
    Everywhere,
}

/// What was found, and how many records were looked at for it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub records: Vec<Record>,
    pub looked_at: u64,
}

/// `event` is an event's id, or the position of a record.
///
/// # Errors
/// If the topic can't be read.
pub(super) async fn find(topic: &Topic, event: &str, place: Where) -> Result<Found, RangeError> {
    let whole = topic.whole().await?;
    if let Ok(position) = event.parse::<Position>()
        && position.topic == *topic.name()
    {
        let wanted = Slice { partition: position.partition, from: position.offset, to: position.offset + 1 };
        let slices: Vec<Slice> = whole.iter().filter_map(|slice| intersection(*slice, wanted)).collect();
        return scan(topic, event, &slices).await;
    }
    match place {
        Where::Everywhere => scan(topic, event, &whole).await,
        Where::From(from) => scan(topic, event, &since(topic, &whole, from).await?).await,
        Where::Near(at) => {
            let near = until(topic, &since(topic, &whole, at - LONGEST_LAG).await?, at + CLOCK_SKEW).await?;
            let found = scan(topic, event, &near).await?;
            if !found.records.is_empty() {
                return Ok(found);
            }
            let everywhere = scan(topic, event, &whole).await?;
            Ok(Found { looked_at: found.looked_at + everywhere.looked_at, ..everywhere })
        }
    }
}

async fn since(topic: &Topic, whole: &[Slice], from: OffsetDateTime) -> Result<Vec<Slice>, RangeError> {
    let offsets = topic.offsets_at(from).await?;
    let begin = |slice: &Slice| {
        let from = offsets.get(&slice.partition).copied().unwrap_or(slice.from);
        Slice { from: from.max(slice.from), ..*slice }
    };
    Ok(whole.iter().map(begin).collect())
}

async fn until(topic: &Topic, slices: &[Slice], to: OffsetDateTime) -> Result<Vec<Slice>, RangeError> {
    let offsets = topic.offsets_at(to).await?;
    let end = |slice: &Slice| {
        let to = offsets.get(&slice.partition).copied().unwrap_or(slice.to);
        Slice { to: to.min(slice.to), ..*slice }
    };
    Ok(slices.iter().map(end).collect())
}

fn intersection(one: Slice, other: Slice) -> Option<Slice> {
    let both = Slice { from: one.from.max(other.from), to: one.to.min(other.to), ..one };
    (one.partition == other.partition && !both.is_empty()).then_some(both)
}

async fn scan(topic: &Topic, event: &str, slices: &[Slice]) -> Result<Found, RangeError> {
    let mut found = Found::default();
    let mut records = topic.read(slices)?;
    while let Some(batch) = records.next().await? {
        found.looked_at += batch.len() as u64;
        found.records.extend(batch.into_iter().filter(|record| is_of(record, event)));
        if found.records.len() >= MAX_FOUND {
            break;
        }
    }
    found.records.sort_by_key(|record| (record.position.partition, record.position.offset));
    Ok(found)
}

/// Whether the record says that it is this event, or would be known by this position. One that can't be read counts
/// when the id stands in it between quotes: it may be what is looked for.
pub(super) fn is_of(record: &Record, event: &str) -> bool {
    if record.position.to_string() == event {
        return true;
    }
    let value = record.value.as_deref().unwrap_or_default();
    // An id that JSON writes with escapes is found by its plain rest at least.
    let plain = event.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|part| part.len()).unwrap_or_default();
    if event.is_empty() || value.len() > MAX_BYTES || (!plain.is_empty() && !contains(value, plain.as_bytes())) {
        return false;
    }
    match ActivityEvent::parse(value) {
        Ok(read) => read.id.as_deref() == Some(event),
        Err(_) => contains(value, format!("\"{event}\"").as_bytes()),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(value: &str, event: &str) -> bool {
        let position = Position { topic: "T".into(), partition: 1, offset: 7 };
        let value = Some(value.to_owned().into());
        is_of(&Record { position, key: None, value, headers: Vec::new(), timestamp: None }, event)
    }

    #[test]
    fn a_record_is_known_by_its_id_and_by_its_position() {
        let record = r#"{"id":"evt_1","type":"T","userIds":["evt_2"]}"#;
        assert!(is(record, "evt_1") && is(record, "T/1/7"));
        assert!(!is(record, "evt_2") && !is(record, "evt_") && !is(record, "T/1/8") && !is(record, ""));
        assert!(is(r#"{"id":"c\u00e0-1042","type":"T","userIds":["u"]}"#, "cà-1042"));
        assert!(is(r#"{"id":7421,"type":"T","userIds":["u"]}"#, "7421"));
        assert!(is(r#"{"id":"evt_1","type":"#, "evt_1"), "cut off, and still what is looked for");
        assert!(!is(r#"{"id":"evt_12","type":"#, "evt_1") && !is(r#"{"id":"x","note":"evt_1 "#, "evt_1"));
        assert!(is(r#"{"id":"日本","type":"T","userIds":["u"]}"#, "日本"));
    }

    #[test]
    fn slices_meet_where_both_are() {
        let slice = |partition, from, to| Slice { partition, from, to };
        assert_eq!(intersection(slice(1, 5, 10), slice(1, 7, 8)), Some(slice(1, 7, 8)));
        assert_eq!(intersection(slice(1, 5, 10), slice(1, 3, 4)), None);
        assert_eq!(intersection(slice(1, 5, 10), slice(2, 7, 8)), None);
    }
}

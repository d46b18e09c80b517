//! `dead-letters list`: one line each, and how many there are of each reason. What a record says is people's data and not
//! in it; that is for `show`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use signal_wire::timestamp;
use time::OffsetDateTime;

use super::{
    CommandError,
    letter::Letter,
    readable::{cut, escaped},
    selection::{Place, Selection},
};
use crate::consume::range::Topic;

/// One letter in a list, its texts fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    position: String,
    timestamp: Option<String>,
    reason: String,
    message: String,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    key: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    #[serde(skip)]
    order: (Option<OffsetDateTime>, Place),
}

/// Of a value, what names the event.
#[derive(Default, Deserialize)]
struct Name {
    id: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
}

impl Entry {
    pub fn of(letter: &Letter) -> Self {
        let value = letter.record.value.as_deref().unwrap_or_default();
        let Name { id, kind } = serde_json::from_slice(value).unwrap_or_default();
        let text = |value: Value| match value {
            Value::String(text) => Some(escaped(text.as_bytes())),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let (place, origin) = (Place::of(letter), letter.origin.as_ref());
        Self {
            position: place.to_string(),
            timestamp: letter.record.timestamp.map(timestamp::format),
            reason: escaped(letter.reason.as_bytes()),
            message: escaped(letter.message.as_bytes()),
            topic: origin.map(|origin| escaped(origin.topic.as_bytes())),
            partition: origin.map(|origin| origin.partition),
            offset: origin.map(|origin| origin.offset),
            key: letter.record.key.as_deref().map(escaped),
            kind: kind.and_then(text),
            id: id.and_then(text),
            order: (letter.record.timestamp, place),
        }
    }

    fn cells(&self) -> [String; 8] {
        let optional = |text: &Option<String>, most| cut(text.as_deref().unwrap_or("-"), most);
        let origin = match (&self.topic, self.partition, self.offset) {
            (Some(topic), Some(partition), Some(offset)) => format!("{topic}/{partition}/{offset}"),
            _ => "-".to_owned(),
        };
        [
            self.position.clone(),
            optional(&self.timestamp, 24),
            cut(&self.reason, 40),
            cut(&origin, 80),
            optional(&self.key, 24),
            optional(&self.kind, 24),
            optional(&self.id, 40),
            cut(&self.message, 80),
        ]
    }
}

/// The newest entries, within a bound, and the number of all by reason.
#[derive(Debug)]
pub struct Listing {
    limit: usize,
    entries: Vec<Entry>,
    reasons: BTreeMap<String, u64>,
}

impl Listing {
    pub fn new(limit: usize) -> Self {
        Self { limit, entries: Vec::new(), reasons: BTreeMap::new() }
    }

    pub fn add(&mut self, letter: &Letter) {
        let entry = Entry::of(letter);
        *self.reasons.entry(entry.reason.clone()).or_default() += 1;
        self.entries.push(entry);
        if self.entries.len() >= self.limit.saturating_mul(2).max(1000) {
            self.trim();
        }
    }

    /// Leaves the newest, in their order.
    fn trim(&mut self) {
        self.entries.sort_by_key(|entry| entry.order);
        let old = self.entries.len().saturating_sub(self.limit);
        self.entries.drain(..old);
    }

    /// One JSON object a line.
    fn json(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.trim();
        for entry in &self.entries {
            serde_json::to_writer(&mut *out, entry)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn table(mut self, topic: &str, out: &mut dyn Write) -> io::Result<()> {
        self.trim();
        let head = ["POSITION", "TIME", "REASON", "FROM", "KEY", "TYPE", "ID", "MESSAGE"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.entries.iter().map(Entry::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for row in rows.iter().filter(|_| !self.entries.is_empty()) {
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        let all: u64 = self.reasons.values().sum();
        if all > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{all} on the topic {topic}")?;
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            writeln!(out, "{count:>8}  {}", if reason.is_empty() { "-" } else { reason })?;
        }
        if all > self.entries.len() as u64 {
            writeln!(out, "The newest {} are shown; --limit shows more.", self.entries.len())?;
        }
        Ok(())
    }
}

/// Lists what is selected, the newest last.
///
/// # Errors
/// If the topic can't be read, or the list not written.
pub async fn list(
    topic: &Topic,
    selection: &Selection,
    limit: usize,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let mut records = topic.read(&selection.slices(topic).await?)?;
    let mut listing = Listing::new(limit);
    while let Some(batch) = records.next().await? {
        batch
            .into_iter()
            .map(Letter::read)
            .filter(|letter| selection.takes(letter))
            .for_each(|letter| listing.add(&letter));
    }
    if json {
        listing.json(out)?;
    } else {
        listing.table(topic.name(), out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use signal_wire::activity::Malformed;

    use super::*;
    use crate::{
        compose::ComposeError,
        dead_letters::letter::{LeftOut, compose},
        record::{Position, Record},
        rejection::{Rejected, Rejection},
    };

    fn letter(offset: i64, key: &'static [u8], value: &'static [u8], rejection: Rejection) -> Letter {
        let record = Record {
            position: Position { topic: "events".into(), partition: 2, offset },
            key: Some(Bytes::from_static(key)),
            value: Some(Bytes::from_static(value)),
            headers: Vec::new(),
            timestamp: timestamp::parse(&format!("2026-11-23T08:51:{:02}Z", offset % 60)),
        };
        let mut record = compose(&Rejected { record, rejection }, LeftOut::Nothing, true);
        record.position = Position { topic: "events.DLQ".into(), partition: 0, offset: 100 - offset };
        Letter::read(record)
    }

    fn written(letters: &[Letter], limit: usize, json: bool) -> String {
        let mut listing = Listing::new(limit);
        letters.iter().for_each(|letter| listing.add(letter));
        let mut out = Vec::new();
        if json {
            listing.json(&mut out).unwrap();
        } else {
            listing.table("events.DLQ", &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_each_the_newest_last_and_counts_by_reason() {
        let letters = [
            letter(
                9,
                b"mer-2",
                br#"{"type":"REFUND","id":"evt_9","data":{"name":"secret"}}"#,
                ComposeError::Missing("amount").into(),
            ),
            letter(7, b"\x1b]0;x\x07", b"{", Malformed::NotJson.into()),
            letter(8, b"mer-1", br#"{"type":["a"],"id":12}"#, Malformed::Invalid("type").into()),
            letter(6, b"mer-1", b"secret", Malformed::NotJson.into()),
        ];
        assert_eq!(
            written(&letters, 3, false),
            "POSITION  TIME                      REASON         FROM        KEY              TYPE    ID     MESSAGE\n\
             0:93      2026-11-23T08:51:07.000Z  not_json       events/2/7  \\u{1b}]0;x\\u{7}  -       -      the value is not JSON\n\
             0:92      2026-11-23T08:51:08.000Z  invalid_field  events/2/8  mer-1            -       12     type is not valid\n\
             0:91      2026-11-23T08:51:09.000Z  missing_data   events/2/9  mer-2            REFUND  evt_9  data.amount is missing\n\
             \n\
             4 on the topic events.DLQ\n       2  not_json\n       1  invalid_field\n       1  missing_data\n\
             The newest 3 are shown; --limit shows more.\n"
        );
        assert_eq!(written(&[], 3, false), "0 on the topic events.DLQ\n");
        assert!(!written(&letters, 4, true).contains("secret"), "values are people's data");
    }

    #[test]
    fn json_is_for_programs() {
        let class = (super::super::letter::CLASS.to_owned(), Some(Bytes::from_static(b"org.example.Foreign")));
        let mut foreign = letter(1, b"\xff", b"", Malformed::Empty.into()).record;
        (foreign.headers, foreign.key, foreign.timestamp) = (vec![class], None, None);
        let letters = [letter(6, b"\xffk", br#"{"id":"e"}"#, Malformed::NoScope.into()), Letter::read(foreign)];
        assert_eq!(
            written(&letters, 10, true),
            concat!(
                r#"{"position":"0:99","timestamp":null,"reason":"org.example.Foreign","message":"","topic":null,"partition":null,"#,
                r#""offset":null,"key":null,"type":null,"id":null}"#,
                "\n",
                r#"{"position":"0:94","timestamp":"2026-11-23T08:51:06.000Z","reason":"no_scope","#,
                r#""message":"none of organizerId, merchantId, userIds is given","topic":"events","partition":2,"offset":6,"#,
                r#""key":"\\xffk","type":null,"id":"e"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn of_many_the_newest_are_kept_and_all_are_counted() {
        let letters: Vec<_> = (0..3000).map(|n| letter(n % 60, b"k", b"", Malformed::Empty.into())).collect();
        let text = written(&letters, 5, false);
        assert_eq!(text.lines().filter(|line| line.contains("08:51:59")).count(), 5);
        assert!(text.contains("3000 on the topic") && text.contains("newest 5 are shown"), "{text}");
    }
}

//! What is known of an event, for people and as JSON.

use std::fmt::{self, Display, Formatter, Write};

use serde_json::{Value, json};
use signal_wire::{activity::ActivityEvent, journal::Entry, timestamp};

use super::{Facts, People, Progress, Pushes};
use crate::{
    dead_letters::{letter::Letter, readable::visible},
    record::Record,
    store::rows::EventRow,
};

/// How much of a key is shown; keys are ids of merchants and organizers.
const KEY_CHARS: usize = 64;

/// The text form.
#[derive(Debug)]
pub struct Report<'a>(pub &'a Facts);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let facts = self.0;
        line(f, "event", &printable(&facts.event))?;
        records(f, facts)?;
        dead_letters(f, facts)?;
        rows(f, facts)?;
        if let Some(people) = &facts.people {
            line(f, "people", &about(people))?;
        }
        pushes(f, &facts.pushes)?;
        line(f, "so", &conclusion(facts))
    }
}

fn line(f: &mut Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "{name:<12} {text}")
}

fn records(f: &mut Formatter<'_>, facts: &Facts) -> fmt::Result {
    if facts.records.is_empty() {
        line(f, "record", &format!("none among the {} that were looked at", facts.looked_at))?;
    }
    for (at, (record, progress)) in facts.records.iter().enumerate() {
        line(f, if at == 0 { "record" } else { "and" }, &place(record))?;
        line(f, "", &content(record))?;
        let group = &facts.group;
        let handled = match progress {
            Progress::Behind(next) => format!("handled: group {group} has committed offset {next}"),
            Progress::Waits(0) => format!("not handled yet, or not committed: it is group {group}'s next"),
            Progress::Waits(before) => format!("waits: group {group} has {before} offsets to go before it"),
            Progress::Nowhere => format!("group {group} has committed nothing of this partition"),
        };
        line(f, "", &handled)?;
    }
    Ok(())
}

fn dead_letters(f: &mut Formatter<'_>, facts: &Facts) -> fmt::Result {
    match &facts.dead_letters {
        None => line(f, "dead letter", "there is no such topic"),
        Some(letters) if letters.is_empty() => line(f, "dead letter", "none"),
        Some(letters) => letters.iter().try_for_each(|Letter { record, reason, message, .. }| {
            line(f, "dead letter", &format!("{}: {}: {}", place(record), printable(reason), printable(message)))
        }),
    }
}

fn rows(f: &mut Formatter<'_>, facts: &Facts) -> fmt::Result {
    let counts = facts.counts;
    line(f, "rows", &format!("{}, of which {} read and {} deleted", counts.rows, counts.read, counts.deleted))?;
    for EventRow { id, recipient_id, created_at, read_at, deleted_at } in &facts.rows {
        let created = timestamp::format(*created_at);
        let state = match (deleted_at, read_at) {
            (Some(at), _) => format!("deleted {}", timestamp::format(*at)),
            (None, Some(at)) => format!("read {}", timestamp::format(*at)),
            (None, None) => "unread".to_owned(),
        };
        line(f, "", &format!("{id}  {}  written {created}  {state}", printable(recipient_id)))?;
    }
    let more = counts.rows.saturating_sub(facts.rows.len() as u64);
    if more > 0 { line(f, "", &format!("and {more} more (--limit)")) } else { Ok(()) }
}

fn about(people: &People) -> String {
    let mut text = format!("{} would get it now", people.addressed);
    let named = |names: &[String]| names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    if people.without_count > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {} of them without a row: {}", people.without_count, named(&people.without));
        let more = people.without_count - people.without.len() as u64;
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
    }
    if !people.left_out.is_empty() {
        let _ = write!(text, "; the event leaves out {}", named(&people.left_out));
    }
    if people.no_longer > 0 {
        let _ = write!(text, "; {} with a row would not any more", people.no_longer);
    }
    text
}

fn pushes(f: &mut Formatter<'_>, pushes: &Pushes) -> fmt::Result {
    let replies = match pushes {
        Pushes::NotAsked => return line(f, "pushes", &format!("not asked: {} is not set", signal_bus::VARIABLES)),
        Pushes::Unknown(error) => return line(f, "pushes", &format!("not known: {error}")),
        Pushes::Remembered(replies) if replies.is_empty() => return line(f, "pushes", "no worker has answered"),
        Pushes::Remembered(replies) => replies,
    };
    for reply in replies {
        let worker = printable(&reply.worker);
        line(f, "pushes", &format!("worker {worker}, which knows all since {}", timestamp::format(reply.since)))?;
        if reply.entries.is_empty() {
            line(f, "", "has not seen it")?;
        }
        reply.entries.iter().try_for_each(|entry| line(f, "", &done(entry)))?;
    }
    Ok(())
}

fn done(entry: &Entry) -> String {
    let Entry { inserted, existing, deleted, sent, missed, .. } = entry;
    let at = timestamp::format(entry.at);
    let mut text = format!("{at}  {}: ", printable(&entry.position));
    if let Some(rejected) = &entry.rejected {
        let _ = write!(text, "set aside, for {}; ", printable(rejected));
    }
    let _ = write!(text, "{inserted} rows written, {existing} already there, {deleted} deleted; {sent} pushes sent");
    if *missed > 0 {
        let _ = write!(text, ", {missed} missed: the backplane was away, and their people were told to read again");
    }
    text
}

/// What it comes to, in one sentence.
fn conclusion(facts: &Facts) -> String {
    let handled = facts.records.iter().any(|(_, progress)| matches!(progress, Progress::Behind(_)));
    let letters = facts.dead_letters.as_ref().is_some_and(|letters| !letters.is_empty());
    let entries = || match &facts.pushes {
        Pushes::Remembered(replies) => replies.iter().flat_map(|reply| &reply.entries).collect(),
        _ => Vec::new(),
    };
    let (sent, missed) = entries().iter().fold((0, 0), |(sent, missed), one| (sent + one.sent, missed + one.missed));
    let asked = matches!(facts.pushes, Pushes::Remembered(_));
    let missing = facts.people.as_ref().is_some_and(|people| people.without_count > 0);
    let text = match (facts.counts.rows, facts.records.is_empty()) {
        (_, _) if letters && facts.counts.rows == 0 => {
            "it was set aside: the dead letter says why, and `dead-letters retry` brings it in once that is mended"
        }
        (0, true) => "nothing is known of it: no record, no row, no dead letter",
        (0, false) if !handled => "it has not been handled yet",
        (0, false) if missing => {
            "it made no rows, although it would reach people now: they have joined since, or their rows were removed, or \
             the group has begun behind it; `replay` brings it in"
        }
        (0, false) => {
            "it was handled and reached nobody: it addresses people who are not there, or leaves all of them out"
        }
        (_, _) if missed > 0 && sent > 0 => {
            "its rows are there; some were pushed, and whom the others are for was told to read them again"
        }
        (_, _) if missed > 0 => "its rows are there, and whom they are for was told to read them again",
        (_, _) if sent > 0 => "its rows are there and were pushed",
        (_, false) if !handled => {
            "its rows are there; until the group has committed its offset it may be handled again, and pushed again"
        }
        (_, _) if !asked => "its rows are there; what was pushed no worker could be asked",
        (_, _) => {
            "its rows are there, and no running worker remembers a push of them: a worker pushes each right after it is \
             written and before its offset is committed; `dead-letters retry` and `replay --push` do so, too, and keep no journal"
        }
    };
    text.to_owned()
}

/// Position, time, key and size.
fn place(record: &Record) -> String {
    let mut text = record.position.to_string();
    if let Some(at) = record.timestamp {
        let _ = write!(text, ", of {}", timestamp::format(at));
    }
    if let Some(key) = &record.key {
        let key: String = printable(&String::from_utf8_lossy(key)).chars().take(KEY_CHARS).collect();
        let _ = write!(text, ", key {key}");
    }
    let _ = write!(text, ", {} bytes", record.value.as_ref().map_or(0, bytes::Bytes::len));
    text
}

fn content(record: &Record) -> String {
    match ActivityEvent::parse(record.value.as_deref().unwrap_or_default()) {
        Err(malformed) => format!("can't be read: {malformed}"),
        Ok(event) => {
            let scope = |name: &str, id: &Option<String>| id.as_ref().map(|id| format!("{name} {}", printable(id)));
            let mut whom: Vec<String> =
                [scope("merchant", &event.merchant_id), scope("organizer", &event.organizer_id)]
                    .into_iter()
                    .flatten()
                    .collect();
            if !event.user_ids.is_empty() {
                whom.push(format!("{} named", event.user_ids.len()));
            }
            format!("{} for {}", printable(&event.kind), whom.join(", "))
        }
    }
}

/// What others wrote must not steer a terminal.
fn printable(text: &str) -> String {
    visible(text)
}

impl Facts {
    /// For programs; times are RFC 3339.
    pub fn json(&self) -> Value {
        let at = |at: time::OffsetDateTime| timestamp::format(at);
        let record = |record: &Record| {
            json!({
                "topic": &*record.position.topic, "partition": record.position.partition,
                "offset": record.position.offset, "at": record.timestamp.map(at),
                "key": record.key.as_ref().map(|key| String::from_utf8_lossy(key)),
                "bytes": record.value.as_ref().map_or(0, bytes::Bytes::len),
            })
        };
        let handled = |progress: &Progress| match progress {
            Progress::Behind(next) => json!({ "handled": true, "committed": next }),
            Progress::Waits(before) => json!({ "handled": false, "before": before }),
            Progress::Nowhere => json!({ "handled": false }),
        };
        let row = |row: &EventRow| {
            json!({
                "id": row.id, "recipientId": row.recipient_id, "createdAt": at(row.created_at),
                "readAt": row.read_at.map(at), "deletedAt": row.deleted_at.map(at),
            })
        };
        let records = self.records.iter().map(|(one, progress)| {
            let mut one = record(one);
            one["group"] = handled(progress);
            one
        });
        let letter = |letter: &Letter| {
            let mut one = record(&letter.record);
            one["reason"] = letter.reason.as_str().into();
            one["message"] = letter.message.as_str().into();
            one
        };
        let people = self.people.as_ref().map(|people| {
            json!({
                "addressed": people.addressed, "withoutRow": people.without_count, "withoutRowNamed": people.without,
                "leftOut": people.left_out, "noLonger": people.no_longer,
            })
        });
        let workers = match &self.pushes {
            Pushes::Remembered(replies) => json!(replies),
            Pushes::NotAsked | Pushes::Unknown(_) => Value::Null,
        };
        json!({
            "event": self.event, "group": self.group, "records": records.collect::<Vec<_>>(), "lookedAt": self.looked_at,
            "deadLetters": self.dead_letters.as_ref().map(|letters| letters.iter().map(letter).collect::<Vec<_>>()),
            "rows": { "count": self.counts.rows, "read": self.counts.read, "deleted": self.counts.deleted,
                      "first": self.rows.iter().map(row).collect::<Vec<_>>() },
            "people": people, "workers": workers, "conclusion": conclusion(self),
        })
    }
}

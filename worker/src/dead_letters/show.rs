//! `dead-letters show`: everything of one.

use std::{fmt::Write as _, io::Write};

use serde_json::Value;
use signal_wire::timestamp;

use super::{
    CommandError,
    letter::Letter,
    readable::{escaped, hex, visible},
    selection::{Place, Selection},
};
use crate::consume::range::Topic;

/// Of a value that is no text so much is shown.
const HEX_BYTES: usize = 1024;

/// Shows the letter at a place, or writes its value as it is.
///
/// # Errors
/// If there is none, or it can't be read or written.
pub async fn show(topic: &Topic, place: Place, raw: bool, out: &mut dyn Write) -> Result<(), CommandError> {
    let letter = read(topic, place).await?;
    let value = letter.record.value.as_deref();
    if raw {
        out.write_all(value.unwrap_or_default())?;
    } else {
        out.write_all(text(&letter).as_bytes())?;
    }
    Ok(())
}

async fn read(topic: &Topic, place: Place) -> Result<Letter, CommandError> {
    let selection = Selection { places: vec![place], ..Selection::default() };
    let mut records = topic.read(&selection.slices(topic).await?)?;
    while let Some(batch) = records.next().await? {
        if let Some(letter) = batch.into_iter().map(Letter::read).find(|letter| selection.takes(letter)) {
            return Ok(letter);
        }
    }
    Err(CommandError::NotThere { place, topic: topic.name().to_string() })
}

/// All of it, for a terminal.
pub fn text(letter: &Letter) -> String {
    let record = &letter.record;
    let optional = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<10}{text}");
    };
    line("position", &Place::of(letter).to_string());
    line("from", &optional(letter.origin.as_ref().map(|origin| escaped(origin.to_string().as_bytes()))));
    line("time", &optional(record.timestamp.map(timestamp::format)));
    line("reason", &escaped(letter.reason.as_bytes()));
    line("message", &escaped(letter.message.as_bytes()));
    line("key", &optional(record.key.as_deref().map(escaped)));
    line("headers", &record.headers.len().to_string());
    for (name, value) in &record.headers {
        let value = value.as_deref().map_or_else(|| "(no value)".to_owned(), escaped);
        line("", &format!("{}: {value}", escaped(name.as_bytes())));
    }
    match record.value.as_deref() {
        None => line("value", "none"),
        Some(bytes) => {
            line("value", &format!("{} bytes", bytes.len()));
            out.push('\n');
            out.push_str(&value(bytes));
        }
    }
    out
}

fn value(bytes: &[u8]) -> String {
    let text = match (serde_json::from_slice::<Value>(bytes), std::str::from_utf8(bytes)) {
        // Fields come in the order of their names.
        (Ok(json), _) => format!("{json:#}"),
        (Err(_), Ok(text)) => text.to_owned(),
        (Err(_), Err(_)) => {
            let (shown, rest) = bytes.split_at(bytes.len().min(HEX_BYTES));
            let more =
                if rest.is_empty() { String::new() } else { format!("… and {} bytes more: --raw\n", rest.len()) };
            return hex(shown) + &more;
        }
    };
    text.lines().map(|line| visible(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use signal_wire::activity::Malformed;

    use super::*;
    use crate::{
        dead_letters::letter::{LeftOut, compose},
        record::{Position, Record},
        rejection::Rejected,
    };

    fn letter(value: Option<Bytes>) -> Letter {
        let record = Record {
            position: Position { topic: "events".into(), partition: 2, offset: 41 },
            key: Some(Bytes::from_static(b"mer-1\xff")),
            value,
            headers: vec![("trace\x1b".into(), Some(Bytes::from_static(b"\0"))), ("none".into(), None)],
            timestamp: timestamp::parse("2026-11-23T08:51:04.867Z"),
        };
        let mut record = compose(&Rejected { record, rejection: Malformed::NoScope.into() }, LeftOut::Nothing, true);
        record.position = Position { topic: "events.DLQ".into(), partition: 0, offset: 7 };
        Letter::read(record)
    }

    #[test]
    fn everything_is_shown_and_json_is_laid_out() {
        let value = br#"{"type":"T","note":"\u001b[2J\\ C\u00e0 Ph\u00ea","a":[1]}"#;
        assert_eq!(
            text(&letter(Some(Bytes::from_static(value)))),
            "position  0:7\n\
             from      events/2/41\n\
             time      2026-11-23T08:51:04.867Z\n\
             reason    no_scope\n\
             message   none of organizerId, merchantId, userIds is given\n\
             key       mer-1\\xff\n\
             headers   7\n          \
             trace\\u{1b}: \\0\n          \
             none: (no value)\n          \
             __connect.errors.topic: events\n          \
             __connect.errors.partition: 2\n          \
             __connect.errors.offset: 41\n          \
             __connect.errors.exception.class.name: signal.no_scope\n          \
             __connect.errors.exception.message: none of organizerId, merchantId, userIds is given\n\
             value     58 bytes\n\
             \n\
             {\n  \"a\": [\n    1\n  ],\n  \"note\": \"\\u001b[2J\\\\ Cà Phê\",\n  \"type\": \"T\"\n}\n"
        );
    }

    #[test]
    fn what_is_no_json_is_shown_as_text_or_bytes() {
        let shown = |value: &'static [u8]| text(&letter(Some(Bytes::from_static(value))));
        assert!(shown(b"{\"a\": \x1b[2J\nb").ends_with("value     12 bytes\n\n{\"a\": \\u{1b}[2J\nb\n"));
        assert!(
            shown(b"\xff\0a")
                .ends_with("value     3 bytes\n\n00000000  ff 00 61                                         ..a\n")
        );
        assert!(shown(b"").ends_with("value     0 bytes\n\n"));
        assert!(text(&letter(None)).ends_with("value     none\n"));
        let long = text(&letter(Some(Bytes::from(vec![0xff; HEX_BYTES + 1]))));
        assert!(long.ends_with("… and 1 bytes more: --raw\n"), "{long}");
    }
}

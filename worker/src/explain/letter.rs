//! What a dead letter says of itself.

use crate::record::{Position, Record};

/// Where the record was.
pub(super) fn origin(letter: &Record) -> Option<Position> {
    let text = |name: &str| std::str::from_utf8(letter.header(name)?).ok();
    Some(Position {
        topic: text("__connect.errors.topic")?.into(),
        partition: text("__connect.errors.partition")?.parse().ok()?,
        offset: text("__connect.errors.offset")?.parse().ok()?,
    })
}

/// Why it was set aside.
pub(super) fn reason(letter: &Record) -> Option<String> {
    letter.header("__connect.errors.exception.message").map(|text| String::from_utf8_lossy(text).into_owned())
}

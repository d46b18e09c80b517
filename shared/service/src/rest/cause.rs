//! serde's errors in the words of [`Cause`].

use serde_json::error::Category;
use serde_path_to_error::{Error, Path, Segment};

use super::{Cause, RestError};

/// serde quotes what it found, which may be a megabyte.
const LONGEST_MESSAGE: usize = 200;

pub(super) fn of_json(error: &Error<serde_json::Error>) -> RestError {
    match error.inner().classify() {
        Category::Data => refuse(error.path(), &without_position(error.inner())),
        Category::Syntax | Category::Eof | Category::Io => of_syntax(error.inner()),
    }
}

/// What is no JSON at all; where is said by line and column.
pub(super) fn of_syntax(error: &serde_json::Error) -> RestError {
    RestError::validation(&[Cause::new("", error.to_string(), "invalid_json")])
}

pub(super) fn of_query(error: &Error<serde_urlencoded::de::Error>) -> RestError {
    refuse(error.path(), &error.inner().to_string())
}

/// The path says where; line and column would only say it again.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

fn refuse(path: &Path, message: &str) -> RestError {
    let (name, code) = classify(message);
    let mut path = dotted(path);
    if let Some(name) = name
        && !(path == name || path.ends_with(&format!(".{name}")))
    {
        path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    }
    RestError::validation(&[Cause::new(path, shortened(message), code)])
}

/// The field that serde names, if it is the trouble, and the code. The words are serde's own (`serde::de::Error`).
fn classify(message: &str) -> (Option<&str>, &'static str) {
    let named = |prefix| message.strip_prefix(prefix).and_then(|rest: &str| rest.split('`').next());
    if let Some(field) = named("missing field `") {
        (Some(field), "required")
    } else if let Some(field) = named("unknown field `") {
        (Some(field), "unknown_field")
    } else if let Some(field) = named("duplicate field `") {
        (Some(field), "duplicate_field")
    } else if message.starts_with("invalid type: ") {
        (None, "invalid_type")
    } else {
        (None, "invalid_value")
    }
}

fn dotted(path: &Path) -> String {
    let names = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    names.collect::<Vec<_>>().join(".")
}

fn shortened(message: &str) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    format!("{}…", &message[..message.floor_char_boundary(LONGEST_MESSAGE)])
}

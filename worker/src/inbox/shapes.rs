//! What goes in and out, and what it must be like.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};
use signal_service::rest::{Cause, RestError};
use signal_wire::notification::Notification;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::{IntoParams, ToSchema};

use crate::{
    publish::stored,
    store::inbox::{Marked, Page, Place, Scope, Which},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
const MAX_IDS: usize = 500;

/// A person's notification, as it was pushed when it came to be
#[derive(Debug, ToSchema)]
#[schema(as = Notification, rename_all = "camelCase")]
#[allow(dead_code, reason = "what signal_wire::notification::Notification is, for the document alone")]
pub(super) struct NotificationShape {
    id: String,
    /// The event that it comes from, which others may have got notifications of, too
    event_id: String,
    r#type: String,
    recipient_id: String,
    #[schema(required = true)]
    organizer_id: Option<String>,
    #[schema(required = true)]
    merchant_id: Option<String>,
    title: String,
    /// Plain text
    content: String,
    /// The same, rendered and sanitised
    html: String,
    /// What else the event said
    metadata: Map<String, Value>,
    #[schema(required = true, format = "date-time")]
    read_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    modified_at: String,
}

/// A person's notifications, newest first
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationPage {
    #[schema(value_type = Vec<NotificationShape>)]
    data: Vec<Notification>,
    /// Ask for the next page with it; null on the last one
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl From<Page> for NotificationPage {
    fn from(page: Page) -> Self {
        let data = page.rows.into_iter().map(stored).collect();
        Self { data, next_cursor: page.next.as_ref().map(Place::encode) }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotificationCount {
    pub(super) count: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationQuery {
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// `nextCursor` of the page before, with the same filters
    cursor: Option<String>,
    /// Only unread ones if true, only read ones if false
    unread: Option<bool>,
    /// Only those of this type
    #[serde(rename = "type")]
    #[param(min_length = 1)]
    kind: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationFilter {
    /// Only unread ones if true, only read ones if false
    unread: Option<bool>,
    /// Only those of this type
    #[serde(rename = "type")]
    #[param(min_length = 1)]
    kind: Option<String>,
}

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) filter: NotificationFilter,
    pub(super) after: Option<Place>,
    pub(super) limit: usize,
}

impl NotificationQuery {
    pub(super) fn checked(self) -> Result<Wish, RestError> {
        let mut causes = Vec::new();
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            causes.push(Cause::new("limit", format!("must be between 1 and {MAX_LIMIT}"), "out_of_range"));
        }
        let after = self.cursor.as_deref().map(Place::decode);
        if after == Some(None) {
            causes.push(cursor_cause());
        }
        causes.extend(kind_cause(self.kind.as_deref()));
        let filter = NotificationFilter { unread: self.unread, kind: self.kind };
        or_causes(Wish { filter, after: after.flatten(), limit }, &causes)
    }
}

impl NotificationFilter {
    pub(super) fn checked(self) -> Result<Self, RestError> {
        let causes: Vec<_> = kind_cause(self.kind.as_deref()).into_iter().collect();
        or_causes(self, &causes)
    }

    pub(super) fn scope<'a>(&'a self, recipient_id: &'a str) -> Scope<'a> {
        Scope { recipient_id, unread: self.unread, kind: self.kind.as_deref() }
    }
}

pub(super) fn bad_cursor() -> RestError {
    RestError::validation(&[cursor_cause()])
}

fn cursor_cause() -> Cause {
    Cause::new("cursor", "must be a nextCursor", "invalid_value")
}

fn kind_cause(kind: Option<&str>) -> Option<Cause> {
    (kind == Some("")).then(|| Cause::new("type", "must not be empty", "too_short"))
}

/// What has been read
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadThese {
    #[schema(min_items = 1, max_items = 500)]
    ids: Vec<String>,
}

/// What has been read: everything, or everything up to a moment
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadAll {
    /// Only what was created before it, to the millisecond
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = "date-time")]
    before: Option<OffsetDateTime>,
}

/// What is to be marked.
#[derive(Debug)]
pub(super) enum Wanted {
    These(Vec<String>),
    All { before: Option<OffsetDateTime> },
}

impl Wanted {
    pub(super) fn which(&self) -> Which<'_> {
        match self {
            Self::These(ids) => Which::These(ids),
            Self::All { before } => Which::All { before: *before },
        }
    }
}

impl ReadThese {
    pub(super) fn checked(self) -> Result<Wanted, RestError> {
        let cause = match self.ids.len() {
            0 => Some(Cause::new("ids", "must not be empty", "too_short")),
            1..=MAX_IDS => None,
            _ => Some(Cause::new("ids", format!("must not be more than {MAX_IDS}"), "too_long")),
        };
        or_causes(Wanted::These(self.ids), cause.as_slice())
    }
}

impl From<ReadAll> for Wanted {
    fn from(all: ReadAll) -> Self {
        Self::All { before: all.before }
    }
}

/// A time within what every database takes, in UTC. Cut to the milliseconds that are shown: whoever compares with what
/// they were shown then comes to the same answer as the database.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| D::Error::custom("not an RFC 3339 time"))?;
    let at = at.clamp(OffsetDateTime::UNIX_EPOCH, PrimitiveDateTime::MAX.assume_utc()).to_offset(UtcOffset::UTC);
    Ok(Some(at.replace_millisecond(at.millisecond()).expect("a time's own milliseconds are in range")))
}

/// How much was marked
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MarkedCount {
    /// Without what was read before
    updated: u64,
}

impl MarkedCount {
    pub(super) fn of(marked: Option<&Marked>) -> Self {
        Self { updated: marked.map_or(0, |marked| marked.updated) }
    }
}

fn or_causes<T>(value: T, causes: &[Cause]) -> Result<T, RestError> {
    if causes.is_empty() { Ok(value) } else { Err(RestError::validation(causes)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use signal_wire::timestamp;

    use super::*;

    #[test]
    fn the_document_shows_a_notification_as_it_is() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let text = String::new;
        let notification = Notification {
            id: text(),
            event_id: text(),
            kind: text(),
            recipient_id: text(),
            organizer_id: None,
            merchant_id: None,
            title: text(),
            content: text(),
            html: text(),
            metadata: Map::new(),
            read_at: None,
            created_at: at,
            modified_at: at,
        };
        let written = serde_json::to_value(&notification).unwrap();
        let schema = serde_json::to_value(<NotificationShape as utoipa::PartialSchema>::schema()).unwrap();
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (mut shown, mut sent) = (fields(&schema["properties"]), fields(&written));
        shown.sort();
        sent.sort();
        assert_eq!(shown, sent);
        let mut required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        required.sort();
        assert_eq!(required, sent, "each is there, always");
        for (name, value) in written.as_object().unwrap() {
            let nullable = schema["properties"][name]["type"] == json!(["string", "null"]);
            assert_eq!(nullable, value.is_null(), "{name}: {}", schema["properties"][name]);
        }
    }

    #[test]
    fn moments_are_cut_and_clamped() {
        let before = |text: &str| {
            let all: ReadAll = serde_json::from_value(json!({ "before": text })).ok()?;
            all.before.map(timestamp::format)
        };
        for (text, moment) in [
            ("2026-11-23T15:51:04.8679+07:00", "2026-11-23T08:51:04.867Z"),
            ("2026-11-23T08:51:04Z", "2026-11-23T08:51:04.000Z"),
            ("0000-01-01T00:00:00+23:59", "1970-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(before(text).as_deref(), Some(moment), "{text}");
        }
        for text in ["", "now", "2026-11-23", "2026-11-23T08:51:04"] {
            assert_eq!(before(text), None, "{text}");
        }
    }
}

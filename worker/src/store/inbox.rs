//! A person's notifications: read newest first, and marked as read.
//!
//! Nobody's rows but the asking person's are ever seen or changed: every statement names the recipient. A deleted row
//! is not there.

use std::{
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};

use super::{StoreError, StoredRow};

/// How long a caller waits for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long for all to be marked, which may be many rows.
pub(super) const MARK_ALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The share of both that getting a connection may take: so long it takes to say that the database is away.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A page ends early, behind the row that makes it larger, so that large rows do not fill the memory.
const PAGE_BYTES: usize = 1024 * 1024;

/// Which of a person's rows are meant.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub recipient_id: &'a str,
    /// Only unread ones, only read ones, or both.
    pub unread: Option<bool>,
    pub kind: Option<&'a str>,
}

/// Where a list goes on: behind the row of this place.
///
/// Exactly as the database has it: a row that another service wrote may have a time finer than the milliseconds that
/// are shown, and places are only ever compared by the database itself, in its own order, which no collation changes
/// within one list. `created_at` is therefore in the terms of the store that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) created_at: String,
    pub(super) id: String,
}

impl Scope<'_> {
    /// Postgres' text can't hold a NUL: under a name with one nobody has anything.
    pub(super) fn is_empty(&self) -> bool {
        [Some(self.recipient_id), self.kind].into_iter().flatten().any(|name| name.contains('\0'))
    }
}

impl Place {
    /// For a URL; means nothing to anybody else.
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(super::to_json(&(&self.created_at, &self.id)))
    }

    /// `None` for what [`Place::encode`] has not written.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (created_at, id) = serde_json::from_slice(&bytes).ok()?;
        Some(Self { created_at, id }).filter(|place| place.encode() == text)
    }
}

/// A stretch of a person's list, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub rows: Vec<StoredRow>,
    /// Where it goes on; `None` at the end.
    pub next: Option<Place>,
}

/// A text with a NUL is no row's id (see [`Scope::is_empty`]); the others of its list may be.
pub(super) fn possible(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).filter(|id| !id.contains('\0')).collect()
}

/// What is to be marked as read.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    These(&'a [String]),
    /// All, or those created before a moment.
    All {
        before: Option<OffsetDateTime>,
    },
}

/// What a marking has changed, and how things stood at its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    pub updated: u64,
    /// Of [`Which::These`], those that were unread.
    pub ids: Vec<String>,
    pub read_at: OffsetDateTime,
    /// What the person has unread, after it.
    pub unread: u64,
    /// Greater than that of every marking of the person that was committed before.
    pub version: u64,
}

/// What the notification API asks of a database. Answers within seconds, whatever the database does.
#[async_trait]
pub trait Inbox: fmt::Debug + Send + Sync {
    /// Up to `limit` rows behind `after`. A row that comes meanwhile makes none of the others come twice or be left out.
    /// [`StoreError::Refused`] for a place that this store has not given.
    async fn page(&self, scope: Scope<'_>, after: Option<&Place>, limit: usize) -> Result<Page, StoreError>;

    async fn count(&self, scope: Scope<'_>) -> Result<u64, StoreError>;

    /// The row, if it is this person's.
    async fn find(&self, recipient_id: &str, id: &str) -> Result<Option<StoredRow>, StoreError>;

    /// Marks and counts in one transaction; markings of one person follow one another. `None` if nothing was unread.
    async fn mark(
        &self,
        recipient_id: &str,
        which: Which<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Marked>, StoreError>;
}

/// Gathers a page from one row more than it may have.
#[derive(Debug)]
pub(super) struct Gather {
    limit: usize,
    bytes: usize,
    rows: Vec<StoredRow>,
    last: Option<Place>,
    more: bool,
}

impl Gather {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, rows: Vec::new(), last: None, more: false }
    }

    /// Whether the page takes another row; the one that it does not take is not in it.
    pub(super) fn add(&mut self, row: StoredRow, created_at: String) -> bool {
        if self.rows.len() == self.limit || self.bytes >= PAGE_BYTES {
            self.more = true;
            return false;
        }
        let draft = &row.draft;
        self.bytes += draft.title.len() + draft.content.len() + super::to_json(&draft.metadata).len();
        self.last = Some(Place { created_at, id: row.id.clone() });
        self.rows.push(row);
        true
    }

    pub(super) fn page(self) -> Page {
        Page { rows: self.rows, next: self.last.filter(|_| self.more) }
    }
}

/// Markings of one person follow one another within this process already, so that somebody who marks a lot at once
/// waits here and holds no more than one connection.
#[derive(Debug)]
pub(super) struct Turns(Box<[Mutex<()>]>);

impl Turns {
    /// So many people can have theirs at once, at most.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Mutex::default()).collect())
    }

    pub(super) async fn take(&self, recipient_id: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        recipient_id.hash(&mut hasher);
        let at = hasher.finish() % self.0.len() as u64;
        self.0[usize::try_from(at).expect("less than a length")].lock().await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_survives_its_encoding(created_at in ".{0,40}", id in ".{0,40}") {
            let place = Place { created_at, id };
            let text = place.encode();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(Place::decode(&text), Some(place));
        }

        #[test]
        fn any_text_is_a_place_or_none(text in ".{0,80}") {
            if let Some(place) = Place::decode(&text) {
                prop_assert_eq!(place.encode(), text);
            }
        }
    }

    #[test]
    fn what_is_no_place_is_none() {
        let encode = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
        assert!(Place::decode(&encode(r#"["1","a"]"#)).is_some());
        for text in
            ["", "x", "WzFd=", &encode("{}"), &encode(r#"["1"]"#), &encode(r#"[1,"a"]"#), &encode(r#"["1", "a"]"#)]
        {
            assert_eq!(Place::decode(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_person_has_one_turn_at_a_time_and_keeps_few_others_waiting() {
        let at_once = async |turns: &Turns, who: &str| {
            tokio::time::timeout(Duration::ZERO, turns.take(who)).await.map(drop).is_ok()
        };
        let turns = Turns::new(64);
        let turn = turns.take("ann").await;
        assert!(!at_once(&turns, "ann").await);
        let mut free = 0;
        for n in 0..64 {
            free += usize::from(at_once(&turns, &format!("user-{n}")).await);
        }
        assert!(free > 48, "{free}");
        drop(turn);
        assert!(at_once(&turns, "ann").await);
    }
}

//! Rows: an event's copies for its recipients, written once.

use parking_lot::Mutex;
use signal_wire::snowflake::Snowflakes;
use time::OffsetDateTime;

use crate::{
    metrics,
    store::{Draft, NewRow, Store, StoreError, StoredRow, Written},
};

/// How often a copy is given a new id before something else must be wrong.
const ID_ATTEMPTS: usize = 8;

/// One person's copy of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Index into the batch's drafts. Copies of one call come in the order of their drafts.
    pub draft: usize,
    pub recipient_id: String,
    /// `None`: when it is written.
    pub created_at: Option<OffsetDateTime>,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq)]
pub enum Persisted {
    Inserted {
        id: String,
        created_at: OffsetDateTime,
        modified_at: OffsetDateTime,
    },
    /// The person has it already: the batch is a redelivery.
    Existing(Box<StoredRow>),
    /// The person had it already and has deleted it.
    Deleted,
    /// The database will never take it.
    Refused {
        code: String,
    },
}

/// Gives rows their ids and writes them.
#[derive(Debug)]
pub struct Persister {
    ids: Mutex<Snowflakes>,
}

impl Persister {
    pub fn new(ids: Snowflakes) -> Self {
        Self { ids: Mutex::new(ids) }
    }

    /// Writes the copies, in one transaction unless the database refuses one of them: then each event has its own,
    /// so that only the culprit stays behind. Answers in the order of `copies`.
    pub async fn persist(
        &self,
        store: &dyn Store,
        drafts: &[Draft],
        copies: &[Copy],
    ) -> Result<Vec<Persisted>, StoreError> {
        let result = self.write(store, drafts, copies).await;
        let Err(StoreError::Refused { code }) = result else { return result };
        let mut persisted = Vec::with_capacity(copies.len());
        for event in copies.chunk_by(|a, b| a.draft == b.draft) {
            if event.len() == copies.len() {
                return Ok(vec![Persisted::Refused { code }; copies.len()]);
            }
            match self.write(store, drafts, event).await {
                Err(StoreError::Refused { code }) => {
                    persisted.extend(std::iter::repeat_n(Persisted::Refused { code }, event.len()));
                }
                result => persisted.extend(result?),
            }
        }
        Ok(persisted)
    }

    async fn write(&self, store: &dyn Store, drafts: &[Draft], copies: &[Copy]) -> Result<Vec<Persisted>, StoreError> {
        let (Some(first), Some(last)) = (copies.first(), copies.last()) else { return Ok(Vec::new()) };
        let drafts = &drafts[first.draft..=last.draft];
        let mut persisted: Vec<Option<Persisted>> = vec![None; copies.len()];
        let mut open: Vec<usize> = (0..copies.len()).collect();
        for _ in 0..ID_ATTEMPTS {
            let now = now();
            let rows: Vec<NewRow> = {
                let mut ids = self.ids.lock();
                let mut row = |&at: &usize| NewRow {
                    id: ids.next(unix_ms(now)).to_string(),
                    draft: copies[at].draft - first.draft,
                    recipient_id: copies[at].recipient_id.clone(),
                    created_at: copies[at].created_at.unwrap_or(now),
                };
                open.iter().map(&mut row).collect()
            };
            let written = store.insert(drafts, &rows, now).await?;
            let mut taken = Vec::new();
            for ((at, row), written) in open.iter().zip(rows).zip(written) {
                persisted[*at] = match written {
                    Written::Inserted => {
                        Some(Persisted::Inserted { id: row.id, created_at: row.created_at, modified_at: now })
                    }
                    Written::Existing(stored) => Some(Persisted::Existing(stored)),
                    Written::Deleted => Some(Persisted::Deleted),
                    Written::IdTaken => {
                        taken.push(*at);
                        None
                    }
                };
            }
            if taken.is_empty() {
                return Ok(persisted.into_iter().map(|one| one.expect("every copy has been answered for")).collect());
            }
            metrics::id_collisions(taken.len());
            open = taken;
        }
        Err(StoreError::Refused { code: "unique key".to_owned() })
    }
}

/// Now, in the milliseconds that rows and pushes show.
pub(crate) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_millisecond(now.millisecond()).expect("a time's own milliseconds are in range")
}

fn unix_ms(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

//! The least that writing the rows costs: the worker's own statement in a loop, on one connection, and nothing else.

use std::{collections::HashMap, time::Instant};

use sqlx::{Connection, PgConnection, Row, types::time::OffsetDateTime};

/// Rows of one statement, as many as the worker writes at once.
const CHUNK: usize = 4096;

/// The statement of `worker/src/store/postgres.rs`: each draft crosses the wire once.
const INSERT: &str = r#"
INSERT INTO "ActivityNotification"
    (id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, created_at, modified_at)
SELECT r.id, d.event_id, d.type, r.recipient_id, d.organizer_id, d.merchant_id, d.title, d.content,
    d.metadata::jsonb, $11, $11
FROM UNNEST($1::text[], $2::int8[], $3::text[]) AS r (id, draft, recipient_id)
JOIN UNNEST($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
    AS d (event_id, type, organizer_id, merchant_id, title, content, metadata, ordinal) ON d.ordinal = r.draft
ON CONFLICT DO NOTHING
RETURNING id"#;

const ALL: &str = r#"
SELECT id, recipient_id, event_id, type, organizer_id, merchant_id, title, content, metadata::text AS metadata
FROM "ActivityNotification" ORDER BY id"#;

/// What the worker had written, in the order in which it had.
#[derive(Debug, Default)]
pub(super) struct Written {
    rows: Vec<Copy>,
    drafts: Vec<Draft>,
}

#[derive(Debug)]
struct Copy {
    id: String,
    draft: usize,
    recipient: String,
}

#[derive(Debug)]
struct Draft {
    event: String,
    kind: String,
    organizer: Option<String>,
    merchant: Option<String>,
    title: String,
    content: String,
    metadata: String,
}

impl Written {
    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let mut written = Self::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        for row in sqlx::query(ALL).fetch_all(connection).await? {
            let event: String = row.try_get("event_id")?;
            let draft = match known.get(&event) {
                Some(draft) => *draft,
                None => {
                    written.drafts.push(Draft {
                        event: event.clone(),
                        kind: row.try_get("type")?,
                        organizer: row.try_get("organizer_id")?,
                        merchant: row.try_get("merchant_id")?,
                        title: row.try_get("title")?,
                        content: row.try_get("content")?,
                        metadata: row.try_get("metadata")?,
                    });
                    known.insert(event, written.drafts.len() - 1);
                    written.drafts.len() - 1
                }
            };
            written.rows.push(Copy { id: row.try_get("id")?, draft, recipient: row.try_get("recipient_id")? });
        }
        Ok(written)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Writes all of it again, into the table emptied; rows a second.
    pub(super) async fn write_again(&self, connection: &mut PgConnection) -> sqlx::Result<f64> {
        let began = Instant::now();
        let mut inserted = 0;
        for rows in self.rows.chunks(CHUNK) {
            inserted += self.insert(connection, rows).await?;
        }
        Ok(inserted as f64 / began.elapsed().as_secs_f64())
    }

    async fn insert(&self, connection: &mut PgConnection, rows: &[Copy]) -> sqlx::Result<usize> {
        fn column<'a, S, T>(items: &'a [S], of: impl FnMut(&'a S) -> T) -> Vec<T> {
            items.iter().map(of).collect()
        }
        let first = rows.iter().map(|row| row.draft).min().unwrap_or(0);
        let last = rows.iter().map(|row| row.draft).max().unwrap_or(0);
        let drafts = &self.drafts[first..=last];
        let inserted: Vec<String> = sqlx::query_scalar(INSERT)
            .bind(column(rows, |row| row.id.as_str()))
            .bind(column(rows, |row| (row.draft - first) as i64 + 1))
            .bind(column(rows, |row| row.recipient.as_str()))
            .bind(column(drafts, |draft| draft.event.as_str()))
            .bind(column(drafts, |draft| draft.kind.as_str()))
            .bind(column(drafts, |draft| draft.organizer.as_deref()))
            .bind(column(drafts, |draft| draft.merchant.as_deref()))
            .bind(column(drafts, |draft| draft.title.as_str()))
            .bind(column(drafts, |draft| draft.content.as_str()))
            .bind(column(drafts, |draft| draft.metadata.as_str()))
            .bind(OffsetDateTime::now_utc())
            .fetch_all(connection)
            .await?;
        Ok(inserted.len())
    }
}

pub(super) async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect(url).await
}

pub(super) async fn empty(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(r#"TRUNCATE "ActivityNotification""#).execute(connection).await.map(drop)
}

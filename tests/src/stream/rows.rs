//! The tables, as somebody sees them who knows SQL and nothing of the worker.

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Beside the workers'.
const CONNECTIONS: u32 = 4;

/// Clones share connections.
#[derive(Clone, Debug)]
pub struct Rows(PgPool);

/// A row of `ActivityNotification`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub event_id: String,
    pub recipient_id: String,
}

type Columns = (String, String, String);

impl From<Columns> for Row {
    fn from((id, event_id, recipient_id): Columns) -> Self {
        Self { id, event_id, recipient_id }
    }
}

impl Rows {
    /// Connects when it is first used, and again after the server was away.
    ///
    /// # Errors
    /// If the URL is not one.
    pub fn of(database_url: &str) -> anyhow::Result<Self> {
        let options: PgConnectOptions = database_url.parse()?;
        Ok(Self(PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options)))
    }

    pub fn pool(&self) -> &PgPool {
        &self.0
    }

    /// Makes people members: domain and user.
    ///
    /// # Errors
    /// If the database does not take it.
    pub async fn enrol(&self, enrolments: &[(String, String)]) -> sqlx::Result<()> {
        let (domains, users): (Vec<&str>, Vec<&str>) =
            enrolments.iter().map(|(domain, user)| (domain.as_str(), user.as_str())).unzip();
        let insert = r#"
            INSERT INTO "PolicyDefinition"
                (id, variant, subject_type, subject_id, target_type, target_id, domain)
            SELECT domain || '/' || subject, 'group', 'User', subject, 'Role', 'cashier', domain
            FROM unnest($1::text[], $2::text[]) AS enrolment (domain, subject)"#;
        sqlx::query(insert).bind(domains).bind(users).execute(&self.0).await?;
        Ok(())
    }

    /// # Errors
    /// If the database is away; so of the others.
    pub async fn count(&self) -> sqlx::Result<u64> {
        let count: i64 =
            sqlx::query_scalar(r#"SELECT count(*) FROM "ActivityNotification""#).fetch_one(&self.0).await?;
        Ok(count.unsigned_abs())
    }

    /// How many rows these events have.
    ///
    /// # Errors
    /// As of [`Rows::count`].
    pub async fn count_of(&self, events: &[&str]) -> sqlx::Result<usize> {
        let count_of = r#"SELECT count(*) FROM "ActivityNotification" WHERE event_id = ANY($1)"#;
        let count: i64 = sqlx::query_scalar(count_of).bind(events).fetch_one(&self.0).await?;
        Ok(count.unsigned_abs() as usize)
    }

    /// # Errors
    /// As of [`Rows::count`].
    pub async fn all(&self) -> sqlx::Result<Vec<Row>> {
        let all = r#"SELECT id, event_id, recipient_id FROM "ActivityNotification""#;
        let rows: Vec<Columns> = sqlx::query_as(all).fetch_all(&self.0).await?;
        Ok(rows.into_iter().map(Row::from).collect())
    }

    /// Whether a worker is writing rows at this moment.
    ///
    /// # Errors
    /// As of [`Rows::count`].
    pub async fn being_written(&self) -> sqlx::Result<bool> {
        let writing = r#"
            SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
                AND pid <> pg_backend_pid() AND query ILIKE '%INSERT INTO "ActivityNotification"%')"#;
        sqlx::query_scalar(writing).fetch_one(&self.0).await
    }
}

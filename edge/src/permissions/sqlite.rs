//! Policies on SQLite: the embedded default, whose file the worker makes and writes.

use std::str::FromStr;

use async_trait::async_trait;
use signal_auth::{Permission, Policies, PolicyError, Secret, Subject};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{CONNECT_TIMEOUT, OpenError, bounded};

const MAX_CONNECTIONS: u32 = 2;

/// As on Postgres; `min` of no row is null.
const HOLDS: &str = r#"
WITH subject (type, id) AS (
    SELECT ?1, ?2
    UNION
    SELECT 'Role', role.id
    FROM "PolicyDefinition" AS membership
    JOIN "Role" AS role ON role.id = membership.target_id
    WHERE membership.subject_type = ?1 AND membership.subject_id = ?2 AND membership.deleted_at IS NULL
        AND membership.variant = 'group' AND membership.target_type = 'Role' AND membership.domain IS NULL
        AND membership.effect IS DISTINCT FROM 'deny'
        AND role.status = 'activated' AND role.deleted_at IS NULL
)
SELECT coalesce(min(policy.effect IS DISTINCT FROM 'deny'), 0)
FROM subject
JOIN "PolicyDefinition" AS policy ON policy.subject_type = subject.type AND policy.subject_id = subject.id
WHERE policy.variant = 'policy' AND policy.target_type = 'Permission' AND policy.domain IS NULL
    AND policy.deleted_at IS NULL AND (policy.action IS NULL OR policy.action = ?4)
    AND policy.target_id IN (
        SELECT id FROM "Permission" WHERE code = ?3 AND action = ?4 AND deleted_at IS NULL
    )"#;

#[derive(Debug)]
pub struct SqlitePolicies {
    pool: SqlitePool,
}

impl SqlitePolicies {
    pub fn open(url: &Secret) -> Result<Self, OpenError> {
        // A file that is not there yet is a database that is away, not one to be made.
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(OpenError::Url)?
            .create_if_missing(false)
            .read_only(true)
            .busy_timeout(CONNECT_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }
}

#[async_trait]
impl Policies for SqlitePolicies {
    async fn holds(&self, subject: &Subject, permission: Permission) -> Result<bool, PolicyError> {
        let query = sqlx::query_scalar(HOLDS)
            .bind(&subject.kind)
            .bind(&subject.id)
            .bind(permission.code)
            .bind(permission.action);
        bounded(query.fetch_one(&self.pool), is_schema).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// The primary result code SQLITE_ERROR (sqlite.org/rescode.html): the statement is constant, so what SQLite can't
/// make sense of in it is a table or column that it lacks.
fn is_schema(code: &str) -> bool {
    code.parse::<i32>().is_ok_and(|code| code & 0xff == 1)
}

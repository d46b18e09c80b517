//! Policies on Postgres.

use std::{io, str::FromStr};

use async_trait::async_trait;
use signal_auth::{Permission, Policies, PolicyError, Secret, Subject};
use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{CONNECT_TIMEOUT, OpenError, bounded};

/// Answers are remembered, so that few questions reach the database at all.
const MAX_CONNECTIONS: u32 = 4;
/// In milliseconds. Shorter than the client's patience, so that a connection whose question took too long is answered
/// and can be used again.
const STATEMENT_TIMEOUT: &str = "1000";

/// `bool_and` of no row is null: what nothing gives is not given. One row that denies outweighs all that allow. The
/// array is made once, however many policies a role has.
const HOLDS: &str = r#"
WITH subject (type, id) AS (
    SELECT $1::text, $2::text
    UNION
    SELECT 'Role', role.id
    FROM "PolicyDefinition" AS membership
    JOIN "Role" AS role ON role.id = membership.target_id
    WHERE membership.subject_type = $1 AND membership.subject_id = $2 AND membership.deleted_at IS NULL
        AND membership.variant = 'group' AND membership.target_type = 'Role' AND membership.domain IS NULL
        AND membership.effect IS DISTINCT FROM 'deny'
        AND role.status = 'activated' AND role.deleted_at IS NULL
)
SELECT coalesce(bool_and(policy.effect IS DISTINCT FROM 'deny'), false)
FROM subject
JOIN "PolicyDefinition" AS policy ON policy.subject_type = subject.type AND policy.subject_id = subject.id
WHERE policy.variant = 'policy' AND policy.target_type = 'Permission' AND policy.domain IS NULL
    AND policy.deleted_at IS NULL AND (policy.action IS NULL OR policy.action = $4)
    AND policy.target_id = ANY (ARRAY(
        SELECT id FROM "Permission" WHERE code = $3 AND action = $4 AND deleted_at IS NULL
    ))"#;

#[derive(Debug)]
pub struct PostgresPolicies {
    pool: PgPool,
}

impl PostgresPolicies {
    pub fn open(url: &Secret) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url.expose())
            .map_err(OpenError::Url)?
            .application_name("signal-edge")
            .options([("statement_timeout", STATEMENT_TIMEOUT), ("default_transaction_read_only", "on")]);
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            // Else a connection that carries nothing any more would keep its place for good.
            .after_release(|connection, _| {
                Box::pin(async move {
                    match timeout(CONNECT_TIMEOUT, connection.ping()).await {
                        Ok(answer) => answer.map(|()| true),
                        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }
}

#[async_trait]
impl Policies for PostgresPolicies {
    async fn holds(&self, subject: &Subject, permission: Permission) -> Result<bool, PolicyError> {
        // Text that Postgres can't hold is in no row.
        if subject.kind.contains('\0') || subject.id.contains('\0') {
            return Ok(false);
        }
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

/// No such table, column or schema, or no right to read it (PostgreSQL documentation, appendix A).
fn is_schema(code: &str) -> bool {
    matches!(code, "42P01" | "42703" | "3F000" | "42501")
}

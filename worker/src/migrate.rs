//! `signal-worker migrate`.

use signal_service::Secret;

use crate::store::{self, Migration, OpenError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("SIGNAL_DATABASE_URL is not set: it says which database to migrate")]
    NoDatabase,
    #[error("SIGNAL_DATABASE_URL: {0}")]
    Open(#[from] OpenError),
    #[error(
        "the database lacks the tables of the platform's core; where it is yours to make them, pass --with-core-schema"
    )]
    NoCoreSchema(#[source] StoreError),
    #[error(transparent)]
    Store(StoreError),
}

/// Applies the seeds, after the core's reference schema where that is asked for.
pub async fn migrate(database_url: Option<&Secret>, with_core_schema: bool) -> Result<(), MigrateError> {
    let store = store::open(database_url.ok_or(MigrateError::NoDatabase)?)?;
    let migration = if with_core_schema { Migration::CoreSchemaAndSeed } else { Migration::Seed };
    let result = store.migrate(migration).await;
    store.close().await;
    result.map_err(|error| match error {
        StoreError::Schema(_) if !with_core_schema => MigrateError::NoCoreSchema(error),
        error => MigrateError::Store(error),
    })
}

//! `signal-worker migrate`, and what a database has to have before Signal touches it.
//!
//! [`expected`] is declared once, [`found`] is read from a catalog by the store, and [`compare`] says what differs.

pub mod compare;
pub mod expected;
pub mod found;

use signal_service::Secret;

use self::compare::{Difference, Unfit, Warning};
use crate::store::{self, Migration, OpenError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("SIGNAL_DATABASE_URL is not set: it says which database to migrate")]
    NoDatabase,
    #[error("SIGNAL_DATABASE_URL: {0}")]
    Open(#[from] OpenError),
    #[error("the database does not fit, and nothing was changed:{}", lines(.0))]
    Unfit(Unfit),
    #[error(transparent)]
    Store(StoreError),
}

/// Does what is asked for, and says what is not as it should be without being in the way.
pub async fn migrate(database_url: Option<&Secret>, migration: Migration) -> Result<Vec<Warning>, MigrateError> {
    let store = store::open(database_url.ok_or(MigrateError::NoDatabase)?)?;
    let result = store.migrate(migration).await;
    store.close().await;
    result.map_err(|error| match error {
        StoreError::Unfit(unfit) => MigrateError::Unfit(unfit),
        error => MigrateError::Store(error),
    })
}

/// All of them, each on a line of its own.
fn lines(Unfit(differences): &Unfit) -> String {
    let mut lines: String = differences.iter().map(|difference| format!("\n  {difference}")).collect();
    if differences.iter().any(|difference| matches!(difference, Difference::NoTable { .. })) {
        lines.push_str("\ntables that are missing are made by --with-core-schema, where they are yours to make");
    }
    lines
}

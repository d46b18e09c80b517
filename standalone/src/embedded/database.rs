//! The embedded database: one SQLite file with the core tables and the demo's people in them.
//!
//! The tables are the worker's to make; here are only the rows that a platform's core
//! would have: roles, and who is whose. A Postgres that the demo runs on gets the same rows.

use std::path::Path;

use signal_service::Secret;
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use super::people::{Person, everybody};

/// Both databases read it: SQLite takes `$1` for a parameter, too.
const ROLE: &str = r#"
INSERT INTO "Role" (id, identifier, name, priority) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, priority = excluded.priority"#;

/// See [`ROLE`].
const MEMBERSHIP: &str = r#"
INSERT INTO "PolicyDefinition" (id, variant, subject_type, subject_id, target_type, target_id, domain)
VALUES ($1, 'group', 'User', $2, 'Role', $3, $4)
ON CONFLICT (id) DO UPDATE SET domain = excluded.domain"#;

/// The URL of the file, which is made when it is first opened.
pub fn url(file: &Path) -> Secret {
    // What would end the path, or be decoded within it.
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    Secret::new(format!("sqlite://{path}?mode=rwc"))
}

/// Puts the demo's people into tables that are there. Safe to repeat.
///
/// `domain` is the pattern of `SIGNAL_MERCHANT_DOMAIN`, with `{id}` for the merchant's.
///
/// # Errors
/// If the database cannot be reached or lacks the tables.
pub async fn seed_people(url: &Secret, domain: &str) -> Result<(), sqlx::Error> {
    if url.expose().starts_with("sqlite:") { seed_sqlite(url, domain).await } else { seed_postgres(url, domain).await }
}

/// The two differ in types alone, which sqlx has no name for that both share.
macro_rules! seed {
    ($name:ident, $connection:ty, $begin:literal) => {
        async fn $name(url: &Secret, domain: &str) -> Result<(), sqlx::Error> {
            let options: <$connection as Connection>::Options = url.expose().parse()?;
            let mut connection = options.connect().await?;
            let mut transaction = connection.begin_with($begin).await?;
            for person in everybody() {
                let role = person.role;
                let insert = sqlx::query(ROLE).bind(role.id).bind(role.identifier).bind(role.name).bind(role.priority);
                insert.execute(&mut *transaction).await?;
                for (id, domain) in memberships(person, domain) {
                    let insert = sqlx::query(MEMBERSHIP).bind(id).bind(person.id).bind(role.id).bind(domain);
                    insert.execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await?;
            connection.close().await
        }
    };
}

seed!(seed_sqlite, SqliteConnection, "BEGIN IMMEDIATE");
seed!(seed_postgres, PgConnection, "BEGIN");

/// The id and the domain of each row that makes somebody one of a merchant's people.
fn memberships(person: &Person, domain: &str) -> impl Iterator<Item = (String, String)> {
    person
        .merchants
        .iter()
        .map(move |merchant| (format!("demo-{}-{}", person.id, merchant.id), domain.replace("{id}", merchant.id)))
}

#[cfg(test)]
mod tests {
    use signal_worker::store::{self, Migration};
    use sqlx::{Row, sqlite::SqliteConnectOptions};

    use super::*;

    async fn domains(file: &Path) -> Vec<(String, String)> {
        let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
        let query = r#"SELECT subject_id, domain FROM "PolicyDefinition" WHERE variant = 'group' AND id LIKE 'demo-%' ORDER BY 1, 2"#;
        let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    #[tokio::test]
    async fn people_are_seeded_once_and_follow_the_domain_pattern_whatever_the_folder_is_called() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("a b?c%20d#é.db");
        let store = store::open(&url(&file)).unwrap();
        store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
        store.close().await;
        for pattern in ["Merchant_{id}", "Merchant_{id}", "shop:{id}"] {
            seed_people(&url(&file), pattern).await.unwrap();
            let expected = [
                ("user-lan", "mer-banh-mi-sen"),
                ("user-lan", "mer-cafe-79"),
                ("user-minh", "mer-cafe-79"),
                ("user-thao", "mer-banh-mi-sen"),
            ];
            let expected = expected.map(|(user, merchant)| (user.to_owned(), pattern.replace("{id}", merchant)));
            assert_eq!(domains(&file).await, expected);
        }
    }
}

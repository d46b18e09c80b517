//! The reference's tables with something changed.

use signal_worker::migrate::expected::TABLES;

use crate::fixture::Fixture;

const POSTGRES: &str = include_str!("../../../../migrations/core/0001_reference.sql");
const SQLITE: &str = include_str!("../../../../migrations/core/sqlite/0001_reference.sql");

#[derive(Clone)]
pub(crate) struct Core {
    postgres: bool,
    before: Vec<String>,
    tables: Vec<String>,
    after: Vec<String>,
}

impl Core {
    /// Without the indexes of the reference, which need columns that a test may take away.
    pub(crate) fn of(fixture: &Fixture) -> Self {
        let postgres = fixture.is_postgres();
        let script = if postgres { POSTGRES } else { SQLITE };
        let tables: Vec<String> = script
            .split(";\n")
            .map(|statement| {
                let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
                lines.collect::<Vec<_>>().join("\n").trim().to_owned()
            })
            .filter(|statement| statement.starts_with("CREATE TABLE"))
            .collect();
        assert_eq!(tables.len(), TABLES.len());
        Self { postgres, before: Vec::new(), tables, after: Vec::new() }
    }

    pub(crate) fn without_table(mut self, table: &str) -> Self {
        self.tables.remove(self.position(table));
        self
    }

    /// Puts `definition` in the place of the line that begins with `line`, a column or constraint; nothing removes it.
    pub(crate) fn with(mut self, table: &str, line: &str, definition: &str) -> Self {
        let at = self.position(table);
        let (head, body) = self.tables[at].split_once(" (\n").unwrap();
        let own = body.strip_suffix("\n)").unwrap().lines().map(|own| own.trim().trim_end_matches(','));
        let changes = |own: &str| own.starts_with(&format!("{line} "));
        assert_eq!(own.clone().filter(|own| changes(own)).count(), 1, "{line} in {table}");
        let lines: Vec<&str> =
            own.map(|own| if changes(own) { definition } else { own }).filter(|own| !own.is_empty()).collect();
        self.tables[at] = format!("{head} (\n{}\n)", lines.join(",\n"));
        self
    }

    /// Adds a column.
    pub(crate) fn and(self, table: &str, definition: &str) -> Self {
        let deleted = if self.postgres { "deleted_at timestamptz" } else { "deleted_at TEXT" };
        self.with(table, "deleted_at", &format!("{deleted}, {definition}"))
    }

    /// Puts `key` in the place of the one that makes a redelivered event find its rows.
    pub(crate) fn keyed(self, key: &str) -> Self {
        let line = if self.postgres { "CONSTRAINT" } else { "UNIQUE" };
        self.with("ActivityNotification", line, key)
    }

    /// What is run before the tables are made.
    pub(crate) fn after(mut self, sql: &str) -> Self {
        self.before.push(sql.to_owned());
        self
    }

    /// What is run once the tables are there.
    pub(crate) fn then(mut self, sql: &str) -> Self {
        self.after.push(sql.to_owned());
        self
    }

    /// A database of its own with these tables.
    pub(crate) async fn build(&self) -> Fixture {
        let fixture = if self.postgres { Fixture::empty_postgres().await } else { Fixture::empty_sqlite() };
        for sql in self.before.iter().chain(&self.tables).chain(&self.after) {
            fixture.run(sql.as_str()).await;
        }
        fixture
    }

    fn position(&self, table: &str) -> usize {
        let begin = format!("CREATE TABLE IF NOT EXISTS \"{table}\" (");
        self.tables.iter().position(|statement| statement.starts_with(&begin)).unwrap()
    }
}

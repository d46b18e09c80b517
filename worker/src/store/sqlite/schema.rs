//! What SQLite says of the core's tables. Its names have no case.

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    migrate::{
        expected::TABLES,
        found::{Column, Dialect, Flaw, Found, Index, Table},
    },
    store::to_json,
};

/// An `INTEGER PRIMARY KEY` is the row's own number, which an insert may leave out (sqlite.org/lang_createtable.html).
const COLUMNS: &str = r#"
SELECT wanted.value AS relation, object.type = 'view' AS is_view, lower(own.name) AS name, own.type AS declared,
    own."notnull" AS not_null,
    own.dflt_value IS NOT NULL OR (own.pk = 1 AND upper(own.type) = 'INTEGER') AS has_default,
    own.hidden > 1 AS generated
FROM json_each(?1) AS wanted
JOIN sqlite_schema AS object ON object.name = wanted.value COLLATE NOCASE AND object.type IN ('table', 'view')
JOIN pragma_table_xinfo(wanted.value) AS own
ORDER BY wanted.key, own.cid"#;

const INDEXES: &str = r#"
SELECT wanted.value AS relation, own.name AS name, own."unique" AS is_unique, own.partial AS partial,
    lower(part.name) AS column_name, part.coll <> 'BINARY' AS folding
FROM json_each(?1) AS wanted
JOIN pragma_index_list(wanted.value) AS own
JOIN pragma_index_xinfo(own.name) AS part ON part.key
ORDER BY wanted.key, own.name, part.seqno"#;

pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let names = to_json(&TABLES.map(|table| table.name));
    let mut tables: Vec<Table> = Vec::new();
    for row in sqlx::query(COLUMNS).bind(&names).fetch_all(&mut *connection).await? {
        let name: String = row.try_get("relation")?;
        if tables.last().is_none_or(|last| last.name != name) {
            let instead = row.try_get::<bool, _>("is_view")?.then_some("view");
            tables.push(Table { name, instead, columns: Vec::new(), indexes: Vec::new(), completed: false });
        }
        if let Some(table) = tables.last_mut() {
            table.columns.push(column(&row)?);
        }
    }
    for row in sqlx::query(INDEXES).bind(&names).fetch_all(&mut *connection).await? {
        let relation: String = row.try_get("relation")?;
        if let Some(table) = tables.iter_mut().find(|table| table.name == relation) {
            add(&mut table.indexes, &row)?;
        }
    }
    Ok(Found { dialect: Dialect::Sqlite, tables, similar: Vec::new() })
}

fn column(row: &SqliteRow) -> Result<Column, sqlx::Error> {
    Ok(Column {
        name: row.try_get("name")?,
        declared: row.try_get("declared")?,
        words: Vec::new(),
        not_null: row.try_get("not_null")?,
        default: row.try_get("has_default")?,
        generated: row.try_get("generated")?,
    })
}

/// A column of an index: of the last one, or of the next.
fn add(indexes: &mut Vec<Index>, row: &SqliteRow) -> Result<(), sqlx::Error> {
    let name: String = row.try_get("name")?;
    if indexes.last().is_none_or(|last| last.name != name) {
        let flaw = row.try_get::<bool, _>("partial")?.then_some(Flaw::Partial);
        indexes.push(Index { name, columns: Vec::new(), unique: row.try_get("is_unique")?, flaw });
    }
    if let Some(index) = indexes.last_mut() {
        index.columns.push(row.try_get("column_name")?);
        if row.try_get("folding")? {
            index.flaw.get_or_insert(Flaw::Folding);
        }
    }
    Ok(())
}

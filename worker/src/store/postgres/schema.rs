//! What the catalog of Postgres says of the core's tables. Names are looked up as statements look them up: quoted, along
//! the search path.

use std::collections::HashMap;

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::migrate::{
    expected::TABLES,
    found::{Column, Dialect, Flaw, Found, Index, Table},
};

/// A row for each column; one without a column for a relation that has none, or is not there. Of a domain it is told
/// what the domain is over.
const COLUMNS: &str = r#"
SELECT wanted.name AS relation, class.relkind::text AS relkind, attribute.attname::text AS name,
    format_type(
        coalesce(nullif(type.typbasetype, 0), attribute.atttypid),
        CASE WHEN type.typtype = 'd' THEN type.typtypmod ELSE attribute.atttypmod END
    ) AS declared,
    ARRAY(
        SELECT enumlabel::text FROM pg_enum WHERE enumtypid = coalesce(nullif(type.typbasetype, 0), type.oid)
    ) AS words,
    attribute.attnotnull OR type.typnotnull AS not_null,
    attribute.atthasdef OR attribute.attidentity <> '' OR type.typdefault IS NOT NULL AS has_default,
    attribute.attidentity = 'a' OR attribute.attgenerated <> '' AS generated,
    EXISTS (
        -- Bits of tgtype: for each row, before, insert.
        SELECT FROM pg_trigger WHERE tgrelid = class.oid AND tgtype & 7 = 7 AND tgenabled <> 'D' AND NOT tgisinternal
    ) AS completed
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_class AS class ON class.oid = to_regclass(quote_ident(wanted.name))
LEFT JOIN pg_attribute AS attribute
    ON attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
LEFT JOIN pg_type AS type ON type.oid = attribute.atttypid
ORDER BY class.oid, attribute.attnum"#;

const INDEXES: &str = r#"
SELECT wanted.name AS relation, class.relname::text AS name, index.indisunique AS is_unique,
    ARRAY(
        SELECT attribute.attname::text
        FROM unnest(index.indkey) WITH ORDINALITY AS key (attnum, position)
        LEFT JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = key.attnum
        WHERE key.position <= index.indnkeyatts
        ORDER BY key.position
    ) AS columns,
    index.indpred IS NOT NULL AS partial, NOT index.indimmediate AS deferrable, NOT index.indisvalid AS invalid,
    EXISTS (
        SELECT FROM pg_collation WHERE oid = ANY (index.indcollation) AND NOT collisdeterministic
    ) AS folding
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_index AS index ON index.indrelid = to_regclass(quote_ident(wanted.name))
JOIN pg_class AS class ON class.oid = index.indexrelid
ORDER BY class.relname"#;

/// In another schema, or by a name that was not quoted or was made of several words.
const SIMILAR: &str = r#"
SELECT wanted.name, quote_ident(namespace.nspname) || '.' || quote_ident(class.relname)
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_class AS class ON lower(replace(class.relname, '_', '')) = lower(wanted.name)
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE to_regclass(quote_ident(wanted.name)) IS NULL AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND namespace.nspname NOT LIKE 'pg\_%'
ORDER BY 2"#;

pub(super) async fn read(connection: &mut PgConnection) -> Result<Found, sqlx::Error> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let mut tables: Vec<Table> = Vec::new();
    for row in sqlx::query(COLUMNS).bind(&names).fetch_all(&mut *connection).await? {
        let name: String = row.try_get("relation")?;
        if tables.last().is_none_or(|last| last.name != name) {
            let relkind: String = row.try_get("relkind")?;
            let completed = row.try_get("completed")?;
            let (columns, indexes) = (Vec::new(), Vec::new());
            tables.push(Table { name, instead: instead(&relkind), columns, indexes, completed });
        }
        if let (Some(table), Some(column)) = (tables.last_mut(), column(&row)?) {
            table.columns.push(column);
        }
    }
    let mut indexes: HashMap<String, Vec<Index>> = HashMap::new();
    for row in sqlx::query(INDEXES).bind(&names).fetch_all(&mut *connection).await? {
        indexes.entry(row.try_get("relation")?).or_default().push(index(&row)?);
    }
    for table in &mut tables {
        table.indexes = indexes.remove(&table.name).unwrap_or_default();
    }
    let similar = if tables.len() == TABLES.len() {
        Vec::new()
    } else {
        sqlx::query_as(SIMILAR).bind(&names).fetch_all(&mut *connection).await?
    };
    Ok(Found { dialect: Dialect::Postgres, tables, similar })
}

/// PostgreSQL documentation, 53.11. A partitioned table is one: its keys hold for all partitions.
fn instead(relkind: &str) -> Option<&'static str> {
    match relkind {
        "r" | "p" => None,
        "v" => Some("view"),
        "m" => Some("materialized view"),
        "f" => Some("foreign table"),
        _ => Some("relation of another kind"),
    }
}

fn column(row: &PgRow) -> Result<Option<Column>, sqlx::Error> {
    let Some(name) = row.try_get("name")? else { return Ok(None) };
    Ok(Some(Column {
        name,
        declared: row.try_get("declared")?,
        words: row.try_get("words")?,
        not_null: row.try_get("not_null")?,
        default: row.try_get("has_default")?,
        generated: row.try_get("generated")?,
    }))
}

fn index(row: &PgRow) -> Result<Index, sqlx::Error> {
    let mut flaw = None;
    for (column, what) in [
        ("folding", Flaw::Folding),
        ("deferrable", Flaw::Deferrable),
        ("invalid", Flaw::Invalid),
        ("partial", Flaw::Partial),
    ] {
        if row.try_get(column)? {
            flaw = Some(what);
        }
    }
    Ok(Index { name: row.try_get("name")?, columns: row.try_get("columns")?, unique: row.try_get("is_unique")?, flaw })
}

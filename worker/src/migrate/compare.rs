//! What Signal needs of the core's tables against what a database has.

use std::fmt;

use super::{
    expected::{Column, Kind, Rows, TABLES, Table},
    found::{self, Dialect, Found, Index},
};

/// Why Signal can't work with a table. Each is one line that says where, what is, and what has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("\"{table}\": there is no such table{}", elsewhere(.similar.as_deref()))]
    NoTable { table: &'static str, similar: Option<String> },
    #[error("\"{table}\" is a {is}: Signal inserts rows, and relies on the keys of a table")]
    NoPlainTable { table: &'static str, is: &'static str },
    #[error("\"{table}\".{column} is missing: it has to be {wanted}")]
    NoColumn { table: &'static str, column: &'static str, wanted: &'static str },
    #[error("\"{table}\".{column} is {is}: it has to be {wanted}")]
    Type { table: &'static str, column: &'static str, is: String, wanted: &'static str },
    #[error("\"{table}\".{column} is {is}, which lacks {}", quoted(.lacks))]
    Words { table: &'static str, column: &'static str, is: String, lacks: Vec<&'static str> },
    #[error("\"{table}\".{column} is not null: Signal needs null there")]
    NotNull { table: &'static str, column: &'static str },
    #[error("\"{table}\".{column} is always generated: Signal writes it itself")]
    Generated { table: &'static str, column: &'static str },
    #[error("\"{table}\".{column} is not null and has no default: Signal does not know it and leaves it out")]
    Unfilled { table: &'static str, column: String },
    #[error("\"{table}\" ({}) has no unique key{}", .columns.join(", "), .near.as_ref().map(|near| format!(": {near}")).unwrap_or_default())]
    NoKey { table: &'static str, columns: &'static [&'static str], near: Option<String> },
    #[error("\"{table}\" ({}) has the unique index \"{index}\", which keeps out rows that Signal has to write", .columns.join(", "))]
    StrangeKey { table: &'static str, columns: Vec<String>, index: String },
}

/// What Signal can work with, and had better not have to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("\"{table}\" has no index that begins with ({}): what looks rows up by it is slow", .columns.join(", "))]
    Slow { table: &'static str, columns: &'static [&'static str] },
    #[error("\"{table}\".{column} holds {holds} characters: what is longer is refused, and Signal may write {longest}")]
    Short { table: &'static str, column: &'static str, holds: u32, longest: u32 },
    #[error(
        "\"{table}\".{column} is not null and has no default: Signal leaves it out, so that a trigger has to fill it"
    )]
    Triggered { table: &'static str, column: String },
}

/// What a comparison has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub differences: Vec<Difference>,
    pub warnings: Vec<Warning>,
}

/// A database that Signal can't work with, and why. Shown as the first few; [`Self::0`] has them all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unfit(pub Vec<Difference>);

impl Comparison {
    /// The warnings, if these are all.
    pub fn verdict(self) -> Result<Vec<Warning>, Unfit> {
        if self.differences.is_empty() { Ok(self.warnings) } else { Err(Unfit(self.differences)) }
    }

    /// The same without tables that are not there, for whoever is about to make them.
    pub fn of_what_is_there(mut self) -> Self {
        self.differences.retain(|difference| !matches!(difference, Difference::NoTable { .. }));
        self
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        write!(f, "the database does not fit: ")?;
        for (at, difference) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{difference}", if at == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more, which `migrate --check` says"),
        }
    }
}

/// Everything at once, in the order of [`TABLES`].
pub fn compare(found: &Found) -> Comparison {
    let mut comparison = Comparison::default();
    for table in &TABLES {
        match found.tables.iter().find(|candidate| candidate.name == table.name) {
            Some(there) => comparison.table(found.dialect, table, there),
            None => {
                let similar = found.similar.iter().find(|(name, _)| name == table.name).map(|(_, at)| at.clone());
                comparison.differences.push(Difference::NoTable { table: table.name, similar });
            }
        }
    }
    comparison
}

impl Comparison {
    fn table(&mut self, dialect: Dialect, table: &Table, there: &found::Table) {
        if let Some(is) = there.instead.filter(|_| table.rows != Rows::None) {
            self.differences.push(Difference::NoPlainTable { table: table.name, is });
            return;
        }
        for column in table.columns {
            match there.columns.iter().find(|own| own.name == column.name) {
                Some(own) => self.column(dialect, table, column, own),
                None => self.differences.push(Difference::NoColumn {
                    table: table.name,
                    column: column.name,
                    wanted: dialect.wanted(column.kind),
                }),
            }
        }
        if table.rows != Rows::None {
            self.left_out(table, there);
            self.keys(table, there);
        }
        for columns in table.lookups {
            if there.instead.is_none() && !there.indexes.iter().any(|index| index.begins_with(columns)) {
                self.warnings.push(Warning::Slow { table: table.name, columns });
            }
        }
    }

    fn column(&mut self, dialect: Dialect, table: &Table, column: &Column, own: &found::Column) {
        let (table, column_name) = (table.name, column.name);
        if !dialect.holds(own, column.kind) {
            let is = own.declared.clone();
            self.differences.push(match column.kind {
                Kind::Word(words) if !own.words.is_empty() => {
                    let lacks = words.iter().copied().filter(|word| !own.words.iter().any(|own| own == word)).collect();
                    Difference::Words { table, column: column_name, is, lacks }
                }
                kind => Difference::Type { table, column: column_name, is, wanted: dialect.wanted(kind) },
            });
        }
        if column.nullable && own.not_null {
            self.differences.push(Difference::NotNull { table, column: column_name });
        }
        if column.filled && own.generated {
            self.differences.push(Difference::Generated { table, column: column_name });
        }
        if let Some(holds) = dialect.limit(own).filter(|holds| *holds < column.longest) {
            self.warnings.push(Warning::Short { table, column: column_name, holds, longest: column.longest });
        }
    }

    /// Columns that an insert of Signal's leaves to the database.
    fn left_out(&mut self, table: &Table, there: &found::Table) {
        for own in &there.columns {
            let filled = table.column(&own.name).is_some_and(|column| column.filled || column.nullable);
            if filled || !own.not_null || own.default || own.generated {
                continue;
            }
            let (table, column) = (table.name, own.name.clone());
            if there.completed {
                self.warnings.push(Warning::Triggered { table, column });
            } else {
                self.differences.push(Difference::Unfilled { table, column });
            }
        }
    }

    fn keys(&mut self, table: &Table, there: &found::Table) {
        let unique = || there.indexes.iter().filter(|index| index.unique);
        for columns in table.keys {
            if unique().any(|index| index.is_on(columns) && index.flaw.is_none()) {
                continue;
            }
            let near = unique().find(|index| index.covers(columns)).map(near);
            self.differences.push(Difference::NoKey { table: table.name, columns, near });
        }
        if table.rows != Rows::Any {
            return;
        }
        for index in unique() {
            // One with an expression, or with a column that the database fills, may well never stand in the way.
            let of_ours = |column: &Option<String>| {
                column
                    .as_deref()
                    .filter(|name| table.column(name).is_some_and(|column| column.filled))
                    .map(str::to_owned)
            };
            let Some(columns) = index.columns.iter().map(of_ours).collect::<Option<Vec<_>>>() else { continue };
            if !table.keys.iter().any(|key| index.covers(key)) {
                let index = index.name.clone();
                self.differences.push(Difference::StrangeKey { table: table.name, columns, index });
            }
        }
    }
}

/// An index that looks like the key and is not it.
fn near(index: &Index) -> String {
    match &index.flaw {
        Some(flaw) => format!("\"{}\" {flaw}", index.name),
        None => format!("\"{}\" has further columns", index.name),
    }
}

fn elsewhere(similar: Option<&str>) -> String {
    similar.map(|at| format!("; there is {at}, to which the search_path and this name do not lead")).unwrap_or_default()
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::found::Flaw;

    /// What a database has that has just what is declared.
    fn declared(dialect: Dialect) -> Found {
        let tables = TABLES.iter().map(|table| {
            let columns = table.columns.iter().map(|column| found::Column {
                name: column.name.to_owned(),
                declared: dialect.wanted(column.kind).split([' ', ',']).next().unwrap().to_owned(),
                words: Vec::new(),
                not_null: !column.nullable,
                default: false,
                generated: false,
            });
            let keys = table.keys.iter().map(|key| index("key", key, true));
            let lookups = table.lookups.iter().map(|columns| index("lookup", columns, false));
            found::Table {
                name: table.name.to_owned(),
                instead: None,
                columns: columns.collect(),
                indexes: keys.chain(lookups).collect(),
                completed: false,
            }
        });
        let mut found = Found { dialect, tables: tables.collect(), similar: Vec::new() };
        for table in &mut found.tables {
            for column in &mut table.columns {
                column.declared = column.declared.replace("timestamptz", "timestamp with time zone");
            }
        }
        found
    }

    fn index(name: &str, columns: &[&str], unique: bool) -> Index {
        let columns = columns.iter().map(|column| Some((*column).to_owned())).collect();
        Index { name: name.to_owned(), columns, unique, flaw: None }
    }

    const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

    #[test]
    fn what_is_declared_fits() {
        for dialect in BOTH {
            assert_eq!(compare(&declared(dialect)), Comparison::default());
        }
    }

    #[test]
    fn each_column_and_each_key_is_missed() {
        for (dialect, at) in BOTH.into_iter().flat_map(|dialect| (0..TABLES.len()).map(move |at| (dialect, at))) {
            for column in TABLES[at].columns {
                let mut found = declared(dialect);
                found.tables[at].columns.retain(|own| own.name != column.name);
                let [Difference::NoColumn { table, column: missed, .. }] = &*compare(&found).differences else {
                    panic!("{} is not missed", column.name)
                };
                assert_eq!((*table, *missed), (TABLES[at].name, column.name));
            }
            for (nth, key) in TABLES[at].keys.iter().enumerate() {
                let mut found = declared(dialect);
                for flaw in
                    [None, Some(Flaw::Partial), Some(Flaw::Deferrable), Some(Flaw::Invalid), Some(Flaw::Folding)]
                {
                    let own = &mut found.tables[at].indexes[nth];
                    own.unique = flaw.is_some();
                    own.flaw = flaw;
                    let [Difference::NoKey { columns, .. }] = &*compare(&found).differences else {
                        panic!("{key:?} is not missed")
                    };
                    assert_eq!(columns, key);
                }
            }
        }
    }

    #[test]
    fn keys_of_seeded_tables_may_be_many() {
        let mut found = declared(Dialect::Postgres);
        found.tables[2].indexes.push(index("u", &["subject", "action"], true));
        assert_eq!(compare(&found), Comparison::default());
        let mut found = declared(Dialect::Postgres);
        found.tables[0].indexes.push(index("u", &["recipient_id", "title"], true));
        let [Difference::StrangeKey { index, .. }] = &*compare(&found).differences else {
            panic!("the key is not seen")
        };
        assert_eq!(index, "u");
        // One that the database fills a part of stands in nobody's way.
        found.tables[0].indexes.pop();
        found.tables[0].indexes.push(index_of_expression());
        assert_eq!(compare(&found), Comparison::default());
    }

    fn index_of_expression() -> Index {
        Index { columns: vec![None, Some("title".to_owned())], ..index("e", &[], true) }
    }

    #[test]
    fn the_first_few_are_shown_and_the_others_counted() {
        let mut found = declared(Dialect::Postgres);
        found.tables.clear();
        let unfit = compare(&found).verdict().unwrap_err();
        let no = "there is no such table";
        let shown = format!(
            "the database does not fit: \"ActivityNotification\": {no}; \"PolicyDefinition\": {no}; \"Permission\": {no}; \
             and 1 more, which `migrate --check` says"
        );
        assert_eq!(unfit.to_string(), shown);
        assert_eq!(compare(&found).of_what_is_there().verdict(), Ok(Vec::new()));
    }
}

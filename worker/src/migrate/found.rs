//! What a database has, as its catalog says.

use super::expected::Kind;

/// Everything that was found under the expected names.
#[derive(Clone, Debug)]
pub struct Found {
    pub dialect: Dialect,
    pub tables: Vec<Table>,
    /// Names that are not found, each with the place of a relation that may have been meant.
    pub similar: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    /// What it is instead of a table: `view` for example.
    pub instead: Option<&'static str>,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    /// Whether a trigger may fill in what an insert leaves out.
    pub completed: bool,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// The type as the database writes it; of a domain, what it is over.
    pub declared: String,
    /// The words of an enum.
    pub words: Vec<String>,
    pub not_null: bool,
    pub default: bool,
    /// Its value is the database's alone to give.
    pub generated: bool,
}

#[derive(Clone, Debug)]
pub struct Index {
    pub name: String,
    /// `None` stands for an expression.
    pub columns: Vec<Option<String>>,
    pub unique: bool,
    pub flaw: Option<Flaw>,
}

/// Why a unique index does not keep every second row out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("holds for some rows alone")]
    Partial,
    #[error("is deferrable")]
    Deferrable,
    #[error("is not valid, as its build has failed")]
    Invalid,
    #[error("takes different texts for the same, by its collation")]
    Folding,
}

impl Index {
    /// Whether its columns are these, in any order.
    pub fn is_on(&self, columns: &[&str]) -> bool {
        self.columns.len() == columns.len() && self.covers(columns)
    }

    /// Whether these are among its columns.
    pub fn covers(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns.iter().flatten().any(|own| own == column))
    }

    pub fn begins_with(&self, columns: &[&str]) -> bool {
        let own = self.columns.iter().map(Option::as_deref);
        self.columns.len() >= columns.len() && own.zip(columns).all(|(own, column)| own == Some(*column))
    }
}

impl Dialect {
    /// Whether Signal's statements can write and read what it needs in the column.
    pub fn holds(self, column: &Column, kind: Kind) -> bool {
        match (self, kind) {
            (_, Kind::Mark) => true,
            (Self::Postgres, Kind::Word(words)) => {
                let labels =
                    !column.words.is_empty() && words.iter().all(|word| column.words.iter().any(|own| own == word));
                labels || self.holds(column, Kind::Text)
            }
            // What is padded or folded is not what was written, and comes back as another id.
            (Self::Postgres, Kind::Text) => {
                ["text", "character varying"].contains(&column.declared.as_str()) || self.limit(column).is_some()
            }
            (Self::Postgres, Kind::Time) => {
                column.declared.starts_with("timestamp") && column.declared.ends_with("with time zone")
            }
            (Self::Postgres, Kind::Json) => ["json", "jsonb"].contains(&column.declared.as_str()),
            (Self::Sqlite, Kind::Text | Kind::Word(_)) => {
                matches!(affinity(&column.declared), Affinity::Text | Affinity::Blob)
            }
            // Text that is no number stays text.
            (Self::Sqlite, Kind::Time | Kind::Json) => {
                !matches!(affinity(&column.declared), Affinity::Integer | Affinity::Real)
            }
        }
    }

    /// How a column of the kind would be declared.
    pub fn wanted(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Sqlite, _) => "text",
            (Self::Postgres, Kind::Text) => "text or varchar",
            (Self::Postgres, Kind::Word(_)) => "text, varchar or an enum that has its words",
            (Self::Postgres, Kind::Time | Kind::Mark) => "timestamptz",
            (Self::Postgres, Kind::Json) => "jsonb or json",
        }
    }

    /// Characters that the column holds, where it is declared and kept.
    pub fn limit(self, column: &Column) -> Option<u32> {
        let length = column.declared.strip_prefix("character varying(")?.strip_suffix(')')?;
        if self == Self::Postgres { length.parse().ok() } else { None }
    }
}

enum Affinity {
    Text,
    Blob,
    Integer,
    Real,
    Numeric,
}

/// sqlite.org/datatype3.html, 3.1; the order of the rules matters.
fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: &str, words: &[&str]) -> Column {
        Column {
            name: "c".to_owned(),
            declared: declared.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            not_null: false,
            default: false,
            generated: false,
        }
    }

    const KINDS: [Kind; 5] = [Kind::Text, Kind::Word(&["a", "b"]), Kind::Time, Kind::Json, Kind::Mark];

    #[track_caller]
    fn assert_holds(dialect: Dialect, column: &Column, expected: [bool; 5]) {
        assert_eq!(KINDS.map(|kind| dialect.holds(column, kind)), expected, "{}", column.declared);
    }

    #[test]
    fn types_of_postgres_are_judged_by_what_statements_do_with_them() {
        for declared in ["text", "character varying", "character varying(36)"] {
            assert_holds(Dialect::Postgres, &column(declared, &[]), [true, true, false, false, true]);
        }
        for declared in ["timestamp with time zone", "timestamp(3) with time zone"] {
            assert_holds(Dialect::Postgres, &column(declared, &[]), [false, false, true, false, true]);
        }
        for declared in ["json", "jsonb"] {
            assert_holds(Dialect::Postgres, &column(declared, &[]), [false, false, false, true, true]);
        }
        let others =
            ["uuid", "citext", "character(10)", "name", "text[]", "character varying(9)[]", "bytea", "bigint", "date"];
        for declared in
            others.into_iter().chain(["timestamp without time zone", "timestamp with time zone[]", "boolean"])
        {
            assert_holds(Dialect::Postgres, &column(declared, &[]), [false, false, false, false, true]);
        }
        assert_holds(Dialect::Postgres, &column("mood", &["b", "a", "c"]), [false, true, false, false, true]);
        assert_holds(Dialect::Postgres, &column("mood", &["a"]), [false, false, false, false, true]);
    }

    #[test]
    fn types_of_sqlite_are_judged_by_their_affinity() {
        for declared in ["TEXT", "varchar(10)", "CLOB", "", "BLOB"] {
            assert_holds(Dialect::Sqlite, &column(declared, &[]), [true; 5]);
        }
        for declared in ["DATETIME", "JSON", "NUMERIC", "uuid"] {
            assert_holds(Dialect::Sqlite, &column(declared, &[]), [false, false, true, true, true]);
        }
        for declared in ["INTEGER", "bigint", "REAL", "double precision", "POINT"] {
            assert_holds(Dialect::Sqlite, &column(declared, &[]), [false, false, false, false, true]);
        }
    }

    #[test]
    fn only_postgres_keeps_a_declared_length() {
        assert_eq!(Dialect::Postgres.limit(&column("character varying(36)", &[])), Some(36));
        assert_eq!(Dialect::Postgres.limit(&column("text", &[])), None);
        assert_eq!(Dialect::Sqlite.limit(&column("character varying(36)", &[])), None);
    }
}

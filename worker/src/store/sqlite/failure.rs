//! What a failure of SQLite says.

use sqlx::error::DatabaseError;

use crate::store::{Kind, WRITTEN_COLUMNS};

pub(super) fn classify(error: &dyn DatabaseError) -> Kind {
    let code = error.code().and_then(|code| code.parse().ok());
    // "NOT NULL constraint failed: Table.column", which nothing but the text says.
    let column = error.message().rsplit('.').next().unwrap_or_default();
    code.map_or(Kind::Away, |code| by_code(code, WRITTEN_COLUMNS.contains(&column)))
}

/// Sorts an extended result code (sqlite.org/rescode.html); its low byte is the primary one. `ours` says of a column that
/// must not be null whether it is one that Signal writes.
fn by_code(code: i32, ours: bool) -> Kind {
    const ERROR: i32 = 1;
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    const CONSTRAINT_NOT_NULL: i32 = 1299;
    match code & 0xff {
        // Our statements are constant: what SQLite can't make sense of in them is a table or column it lacks.
        ERROR => Kind::Schema,
        // Null in a column that somebody has added: no event would be taken any more.
        CONSTRAINT if code == CONSTRAINT_NOT_NULL && !ours => Kind::Schema,
        TOO_BIG | CONSTRAINT | MISMATCH => Kind::Refused,
        _ => Kind::Away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each code with its name on sqlite.org/rescode.html.
    #[test]
    fn only_what_a_row_is_to_blame_for_is_refused() {
        for (kind, codes) in [
            (
                Kind::Refused,
                &[
                    (18, "SQLITE_TOOBIG"),
                    (19, "SQLITE_CONSTRAINT"),
                    (275, "SQLITE_CONSTRAINT_CHECK"),
                    (787, "SQLITE_CONSTRAINT_FOREIGNKEY"),
                    (1299, "SQLITE_CONSTRAINT_NOTNULL"),
                    (1811, "SQLITE_CONSTRAINT_TRIGGER"),
                    (2067, "SQLITE_CONSTRAINT_UNIQUE"),
                    (20, "SQLITE_MISMATCH"),
                ][..],
            ),
            (Kind::Schema, &[(1, "SQLITE_ERROR")]),
            (
                Kind::Away,
                &[
                    (3, "SQLITE_PERM"),
                    (4, "SQLITE_ABORT"),
                    (5, "SQLITE_BUSY"),
                    (517, "SQLITE_BUSY_SNAPSHOT"),
                    (6, "SQLITE_LOCKED"),
                    (7, "SQLITE_NOMEM"),
                    (8, "SQLITE_READONLY"),
                    (1032, "SQLITE_READONLY_DBMOVED"),
                    (9, "SQLITE_INTERRUPT"),
                    (10, "SQLITE_IOERR"),
                    (11, "SQLITE_CORRUPT"),
                    (13, "SQLITE_FULL"),
                    (14, "SQLITE_CANTOPEN"),
                    (17, "SQLITE_SCHEMA"),
                    (26, "SQLITE_NOTADB"),
                ],
            ),
        ] {
            for (code, name) in codes {
                assert_eq!(by_code(*code, true), kind, "{name}");
            }
        }
        assert_eq!(by_code(1299, false), Kind::Schema, "a column that Signal does not know");
    }
}

//! What a failure of Postgres says.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use crate::store::{Kind, WRITTEN_COLUMNS};

pub(super) fn classify(error: &dyn DatabaseError) -> Kind {
    let column = error.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::column);
    let code = error.code().unwrap_or_default();
    by_state(&code, error.constraint().is_some(), column.is_none_or(|column| WRITTEN_COLUMNS.contains(&column)))
}

/// Sorts an SQLSTATE (PostgreSQL documentation, appendix A). `constraint` says whether one is named, `ours` whether
/// the column that is named, if one is, is one that Signal writes.
fn by_state(code: &str, constraint: bool, ours: bool) -> Kind {
    match code {
        // Null in a column that the core has added: no event would be taken any more.
        "23502" if !ours => Kind::Schema,
        // No partition of the table for the row, as when the next month's has been forgotten. A check has a name.
        "23514" if !constraint => Kind::Schema,
        // A trigger of the core's raises on purpose.
        "P0001" => Kind::Refused,
        // Rights are the server's matter as a password is.
        "42501" => Kind::Away,
        _ => match code.get(..2) {
            // Data, integrity, a view's check, limits of what fits: the values themselves are to blame.
            Some("22" | "23" | "44" | "54") => Kind::Refused,
            // Our statements are constant: what the server can't make sense of in them are its tables.
            Some("42" | "3F") => Kind::Schema,
            // Connections, transactions, resources, shutdowns, and what nobody has thought of.
            _ => Kind::Away,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each code with its name in the PostgreSQL documentation.
    #[test]
    fn only_what_a_row_is_to_blame_for_is_refused() {
        for (kind, codes) in [
            (
                Kind::Refused,
                &[
                    "22001 string_data_right_truncation",
                    "22003 numeric_value_out_of_range",
                    "22007 invalid_datetime_format",
                    "22021 character_not_in_repertoire",
                    "22P02 invalid_text_representation",
                    "22P05 untranslatable_character",
                    "23000 integrity_constraint_violation",
                    "23001 restrict_violation",
                    "23502 not_null_violation",
                    "23503 foreign_key_violation",
                    "23505 unique_violation",
                    "23514 check_violation",
                    "23P01 exclusion_violation",
                    "44000 with_check_option_violation",
                    "54000 program_limit_exceeded",
                    "P0001 raise_exception",
                ][..],
            ),
            (
                Kind::Schema,
                &[
                    "3F000 invalid_schema_name",
                    "42601 syntax_error",
                    "42703 undefined_column",
                    "42804 datatype_mismatch",
                    "42883 undefined_function",
                    "42P01 undefined_table",
                    "42P10 invalid_column_reference",
                ],
            ),
            (
                Kind::Away,
                &[
                    "08000 connection_exception",
                    "08003 connection_does_not_exist",
                    "08006 connection_failure",
                    "08P01 protocol_violation",
                    "0A000 feature_not_supported",
                    "25001 active_sql_transaction",
                    "25006 read_only_sql_transaction",
                    "25P02 in_failed_sql_transaction",
                    "25P03 idle_in_transaction_session_timeout",
                    "28000 invalid_authorization_specification",
                    "28P01 invalid_password",
                    "3D000 invalid_catalog_name",
                    "40000 transaction_rollback",
                    "40001 serialization_failure",
                    "40003 statement_completion_unknown",
                    "40P01 deadlock_detected",
                    "42501 insufficient_privilege",
                    "53000 insufficient_resources",
                    "53100 disk_full",
                    "53200 out_of_memory",
                    "53300 too_many_connections",
                    "53400 configuration_limit_exceeded",
                    "55000 object_not_in_prerequisite_state",
                    "55006 object_in_use",
                    "55P03 lock_not_available",
                    "57014 query_canceled",
                    "57P01 admin_shutdown",
                    "57P02 crash_shutdown",
                    "57P03 cannot_connect_now",
                    "57P04 database_dropped",
                    "58000 system_error",
                    "58030 io_error",
                    "58P01 undefined_file",
                    "72000 snapshot_too_old",
                    "F0000 config_file_error",
                    "P0002 no_data_found",
                    "XX000 internal_error",
                    "XX001 data_corrupted",
                    "XX002 index_corrupted",
                    "",
                    "?",
                ],
            ),
        ] {
            for named in codes {
                let code = named.split(' ').next().unwrap();
                assert_eq!(by_state(code, true, true), kind, "{named}");
            }
        }
    }

    #[test]
    fn what_no_row_can_satisfy_is_the_tables_fault() {
        assert_eq!(by_state("23502", false, false), Kind::Schema, "a column that Signal does not know");
        assert_eq!(by_state("23502", false, true), Kind::Refused);
        assert_eq!(by_state("23514", false, true), Kind::Schema, "no partition");
    }
}

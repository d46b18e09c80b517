//! A record that was set aside, and why.

use signal_wire::activity::Malformed;

use crate::{compose::ComposeError, record::Record};

/// Why a record was set aside. The texts name fields and codes, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("the database refuses it ({code})")]
    Refused { code: String },
}

impl Rejection {
    /// All labels that there are.
    pub const LABELS: [&str; 12] = [
        "empty",
        "too_large",
        "not_json",
        "not_an_object",
        "missing_field",
        "invalid_field",
        "nul_character",
        "no_scope",
        "unknown_type",
        "missing_data",
        "invalid_data",
        "refused_by_database",
    ];

    /// The label under which it is counted, and by which its dead letters are found.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.label(),
            Self::Compose(error) => error.label(),
            Self::Refused { .. } => "refused_by_database",
        }
    }
}

/// The record, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub record: Record,
    pub rejection: Rejection,
}

//! The edge's answer to `refresh`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::timestamp;

/// `refreshed.data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refreshed {
    /// When the session ends unless it is refreshed again; `null` if it never does.
    #[serde(with = "timestamp::rfc3339_option")]
    pub expires_at: Option<OffsetDateTime>,
}

impl Refreshed {
    /// `expires_at` is a token's `exp`. What is beyond the years that RFC 3339 can write is never.
    pub fn until(expires_at: Option<i64>) -> Self {
        Self { expires_at: expires_at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_or_never() {
        let text = |expires_at| serde_json::to_string(&Refreshed::until(expires_at)).unwrap();
        assert_eq!(text(Some(1_795_423_864)), r#"{"expiresAt":"2026-11-23T08:51:04.000Z"}"#);
        assert_eq!(text(None), r#"{"expiresAt":null}"#);
        assert_eq!(text(Some(i64::MAX)), r#"{"expiresAt":null}"#);
        for expires_at in [None, Some(1_795_423_864)] {
            let refreshed = Refreshed::until(expires_at);
            assert_eq!(serde_json::from_str::<Refreshed>(&text(expires_at)).unwrap(), refreshed);
        }
        assert!(serde_json::from_str::<Refreshed>("{}").is_err());
        assert!(serde_json::from_str::<Refreshed>(r#"{"expiresAt":"soon"}"#).is_err());
    }
}

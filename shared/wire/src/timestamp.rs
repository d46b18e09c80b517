//! Times on every wire: RFC 3339, UTC, milliseconds, `Z`; what `Date.prototype.toISOString` writes.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Writes `2026-11-23T08:51:04.867Z`.
pub fn format(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Reads any RFC 3339 time; `None` for everything else.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// For `#[serde(with = "timestamp::rfc3339")]`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::OffsetDateTime;

    pub fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

/// For `#[serde(with = "timestamp::rfc3339_option")]`; absence is `null`, as REST and pushes show it.
pub mod rfc3339_option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::OffsetDateTime;

    pub fn serialize<S: Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_str(&super::format(*at)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            Some(text) => super::parse(&text).map(Some).ok_or_else(|| D::Error::custom("not an RFC 3339 time")),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_browsers_write() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_795_423_864_867_999_999).unwrap();
        assert_eq!(format(at), "2026-11-23T08:51:04.867Z");
        assert_eq!(format(parse("2026-11-23T15:51:04.8679+07:00").unwrap()), "2026-11-23T08:51:04.867Z");
        assert_eq!(parse("yesterday"), None);
    }
}

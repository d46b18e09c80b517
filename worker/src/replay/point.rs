//! Where a replay begins or ends, as people say it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use signal_service::settings::values;
use signal_wire::timestamp;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A place in a topic, in all of its partitions or in some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// The first record that is still kept.
    Beginning,
    /// Behind the last record at the moment of asking.
    End,
    /// The first record of that time or later.
    At(OffsetDateTime),
    /// The same, before the moment of asking.
    Ago(Duration),
    /// An offset in each of these partitions; the others are not meant.
    Positions(BTreeMap<i32, i64>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    #[error(
        "expected `beginning`, `end`, a time such as 2026-11-23T08:00:00Z, a day such as 2026-11-23, how long ago such \
         as 90m, 2h or 7d, or offsets such as 0:1200,1:980"
    )]
    NoPoint,
    #[error("a time needs its zone: 2026-11-23T08:00:00Z or 2026-11-23T15:00:00+07:00")]
    NoZone,
    #[error("`{0}` is not partition:offset")]
    NoPosition(String),
    #[error("partition {0} is named twice")]
    Twice(i32),
}

impl FromStr for Point {
    type Err = PointError;

    fn from_str(text: &str) -> Result<Self, PointError> {
        let text = text.trim();
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" | "now" => return Ok(Self::End),
            _ => {}
        }
        if let Some(at) = timestamp::parse(text) {
            return Ok(Self::At(at));
        }
        if let Some(midnight) = timestamp::parse(&format!("{text}T00:00:00Z")) {
            return Ok(Self::At(midnight));
        }
        if timestamp::parse(&format!("{text}Z")).is_some() {
            return Err(PointError::NoZone);
        }
        match ago(text) {
            Some(ago) => Ok(Self::Ago(ago)),
            None if text.contains(':') => positions(text).map(Self::Positions),
            None => Err(PointError::NoPoint),
        }
    }
}

/// A duration that may begin with days.
fn ago(text: &str) -> Option<Duration> {
    let Some((days, rest)) = text.split_once('d') else { return values::duration(text).ok() };
    let days: u32 = days.parse().ok().filter(|_| days.bytes().all(|byte| byte.is_ascii_digit()))?;
    let rest = if rest.is_empty() { Duration::ZERO } else { values::duration(rest).ok()? };
    DAY.checked_mul(days)?.checked_add(rest)
}

fn positions(text: &str) -> Result<BTreeMap<i32, i64>, PointError> {
    let mut positions = BTreeMap::new();
    for item in text.split(',') {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let pair = item.trim().split_once(':').filter(|(partition, offset)| digits(partition) && digits(offset));
        let pair = pair.and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
        let (partition, offset) = pair.ok_or_else(|| PointError::NoPosition(item.trim().to_owned()))?;
        if positions.insert(partition, offset).is_some() {
            return Err(PointError::Twice(partition));
        }
    }
    Ok(positions)
}

impl Point {
    /// The same, whenever it is said.
    pub(super) fn fixed(&self, now: OffsetDateTime) -> Self {
        match self {
            Self::Ago(ago) => Self::At(now - *ago),
            Self::End => Self::At(now),
            Self::Beginning | Self::At(_) | Self::Positions(_) => self.clone(),
        }
    }
}

/// In a form that is read back as the same point.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::At(at) => f.write_str(&timestamp::format(*at)),
            Self::Ago(ago) => {
                let (seconds, ms) = (ago.as_secs(), ago.subsec_millis());
                let parts = [
                    (seconds / 86_400, "d"),
                    (seconds / 3600 % 24, "h"),
                    (seconds / 60 % 60, "m"),
                    (seconds % 60, "s"),
                ];
                let parts = parts.into_iter().chain([(u64::from(ms), "ms")]).filter(|(count, _)| *count > 0);
                let text: String = parts.map(|(count, unit)| format!("{count}{unit}")).collect();
                f.write_str(if text.is_empty() { "0" } else { &text })
            }
            Self::Positions(positions) => {
                let positions = positions.iter().map(|(partition, offset)| format!("{partition}:{offset}"));
                f.write_str(&positions.collect::<Vec<_>>().join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_with_the_clock_can_be_held_still() {
        let now = timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let fixed = |text: &str| text.parse::<Point>().unwrap().fixed(now).to_string();
        assert_eq!(
            (fixed("1h").as_str(), fixed("end").as_str()),
            ("2026-11-23T07:00:00.000Z", "2026-11-23T08:00:00.000Z")
        );
        for text in ["beginning", "0:1,1:2", "2026-11-23T08:00:00.000Z"] {
            assert_eq!(fixed(text), text);
        }
    }
    use proptest::prelude::*;

    fn at(text: &str) -> Point {
        Point::At(timestamp::parse(text).unwrap())
    }

    fn ago(seconds: u64) -> Point {
        Point::Ago(Duration::from_secs(seconds))
    }

    #[test]
    fn reads_what_people_write() {
        for (text, point) in [
            ("beginning", Point::Beginning),
            ("end", Point::End),
            ("now", Point::End),
            ("2026-11-23T08:00:00Z", at("2026-11-23T08:00:00Z")),
            ("2026-11-23T15:00:00.5+07:00", at("2026-11-23T08:00:00.500Z")),
            ("2026-11-23", at("2026-11-23T00:00:00Z")),
            ("90m", ago(5400)),
            ("7d", ago(7 * 86_400)),
            ("1d12h30m", ago(86_400 + 45_000)),
            ("0", ago(0)),
            ("0:1200", Point::Positions([(0, 1200)].into())),
            (" 0:1200, 11:0 ", Point::Positions([(0, 1200), (11, 0)].into())),
        ] {
            assert_eq!(text.parse(), Ok(point), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        for (text, error) in [
            ("", PointError::NoPoint),
            ("yesterday", PointError::NoPoint),
            ("-2h", PointError::NoPoint),
            ("d", PointError::NoPoint),
            ("2d7x", PointError::NoPoint),
            ("2026-11-31", PointError::NoPoint),
            ("1795420800", PointError::NoPoint),
            ("2026-11-23T08:00:00", PointError::NoZone),
            ("4294967296d", PointError::NoPoint),
            ("0:", PointError::NoPosition("0:".into())),
            ("0:1,", PointError::NoPosition(String::new())),
            ("0:1,x:2", PointError::NoPosition("x:2".into())),
            ("0:-1", PointError::NoPosition("0:-1".into())),
            ("0:+1", PointError::NoPosition("0:+1".into())),
            ("0:9223372036854775808", PointError::NoPosition("0:9223372036854775808".into())),
            ("3:1,3:2", PointError::Twice(3)),
        ] {
            assert_eq!(text.parse::<Point>(), Err(error), "{text}");
        }
    }

    fn any_point() -> impl Strategy<Value = Point> {
        let positions = proptest::collection::btree_map(0..i32::MAX, 0..i64::MAX, 1..5);
        prop_oneof![
            Just(Point::Beginning),
            Just(Point::End),
            (0..4_000_000_000_000i64).prop_map(|ms| {
                Point::At(OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap())
            }),
            (0..10_000_000_000u64).prop_map(|ms| Point::Ago(Duration::from_millis(ms))),
            positions.prop_map(Point::Positions),
        ]
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(point in any_point()) {
            prop_assert_eq!(point.to_string().parse(), Ok(point));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            let _ = text.parse::<Point>();
        }

        #[test]
        fn what_looks_like_offsets_is_read_or_refused(text in "[0-9:,dhm -]{0,24}") {
            if let Ok(point) = text.parse::<Point>() {
                prop_assert_eq!(point.to_string().parse(), Ok(point));
            }
        }
    }
}

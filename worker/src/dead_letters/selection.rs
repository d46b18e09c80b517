//! Which dead letters are meant.

use std::{collections::BTreeMap, fmt, str::FromStr};

use signal_wire::timestamp;
use time::OffsetDateTime;

use super::letter::Letter;
use crate::consume::range::{RangeError, Slice, Topic};

/// Where a letter is on the topic of dead letters, written `partition:offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub partition: i32,
    pub offset: i64,
}

impl Place {
    pub fn of(letter: &Letter) -> Self {
        let position = &letter.record.position;
        Self { partition: position.partition, offset: position.offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (partition, offset) = text.split_once(':')?;
            let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (number(partition) && number(offset)).then_some(())?;
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        };
        read().ok_or_else(|| "expected partition:offset such as 0:17".to_owned())
    }
}

/// Where a stretch begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Place(Place),
    /// By the records' own time, which their letters keep.
    Time(OffsetDateTime),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.parse().ok().map(Self::Place);
        place
            .or_else(|| timestamp::parse(text).map(Self::Time))
            .ok_or_else(|| "expected partition:offset such as 0:17, or a time such as 2026-11-23T08:00:00Z".to_owned())
    }
}

/// All that is said must hold; an empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The first that is meant; a place leaves only its partition.
    pub from: Option<Point>,
    /// The first that is no longer.
    pub to: Option<Point>,
    pub reasons: Vec<String>,
    pub places: Vec<Place>,
}

impl Selection {
    /// Where they are, as the topic is now.
    ///
    /// # Errors
    /// If there is no such topic, or no answer.
    pub async fn slices(&self, topic: &Topic) -> Result<Vec<Slice>, RangeError> {
        let whole = topic.whole().await?;
        let since = match self.from {
            Some(Point::Time(at)) => topic.offsets_at(at).await?,
            _ => BTreeMap::new(),
        };
        let narrow = |slice: Slice| self.narrow(slice, since.get(&slice.partition).copied().unwrap_or(slice.from));
        Ok(whole.into_iter().map(narrow).collect())
    }

    /// The part of a partition that can hold some; `since` is where its records may begin to be young enough.
    fn narrow(&self, slice: Slice, since: i64) -> Slice {
        let Slice { partition, from, to } = slice;
        let bound = |point: Option<Point>, offset| match point {
            Some(Point::Place(place)) if place.partition == partition => Some(place.offset),
            Some(Point::Place(_)) => None,
            _ => Some(offset),
        };
        let here = self.places.iter().filter(|place| place.partition == partition).map(|place| place.offset);
        let (first, behind) = if self.places.is_empty() {
            (from, to)
        } else {
            (here.clone().min().unwrap_or(to), here.max().map_or(from, |last| last.saturating_add(1)))
        };
        match (bound(self.from, since), bound(self.to, to)) {
            (Some(since), Some(until)) => {
                let from = from.max(first).max(since).min(to);
                Slice { partition, from, to: to.min(behind).min(until).max(from) }
            }
            _ => Slice { partition, from, to: from },
        }
    }

    /// Whether a letter is meant that lies in [`Selection::slices`].
    pub fn takes(&self, letter: &Letter) -> bool {
        let at = letter.record.timestamp;
        let begun = !matches!((self.from, at), (Some(Point::Time(from)), Some(at)) if at < from);
        let ended = matches!((self.to, at), (Some(Point::Time(to)), Some(at)) if at >= to);
        let place = self.places.is_empty() || self.places.contains(&Place::of(letter));
        begun && !ended && place && (self.reasons.is_empty() || self.reasons.contains(&letter.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Position, Record};

    fn letter(partition: i32, offset: i64, at: &str, class: &str) -> Letter {
        Letter::read(Record {
            position: Position { topic: "t.DLQ".into(), partition, offset },
            key: None,
            value: None,
            headers: vec![(super::super::letter::CLASS.into(), Some(class.to_owned().into()))],
            timestamp: timestamp::parse(at),
        })
    }

    fn slice(partition: i32, from: i64, to: i64) -> Slice {
        Slice { partition, from, to }
    }

    #[test]
    fn points_are_places_or_times() {
        assert_eq!("3:41".parse(), Ok(Point::Place(Place { partition: 3, offset: 41 })));
        let time = timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        assert_eq!("2026-11-23T15:00:00+07:00".parse(), Ok(Point::Time(time)));
        for text in ["", ":", "1", "1:", ":1", "-1:1", "1:-1", "+1:1", "1:1:1", "yesterday", "99999999999:1"] {
            assert!(text.parse::<Point>().is_err() && text.parse::<Place>().is_err(), "{text}");
        }
        assert_eq!(Place { partition: 3, offset: 41 }.to_string(), "3:41");
    }

    #[test]
    fn a_place_leaves_its_partition_and_places_the_stretch_between_them() {
        let narrow = |selection: &Selection| [0, 1].map(|partition| selection.narrow(slice(partition, 10, 100), 10));
        let all = Selection::default();
        assert_eq!(narrow(&all), [slice(0, 10, 100), slice(1, 10, 100)]);
        let point = |text: &str| text.parse().ok();
        let from = Selection { from: point("1:20"), ..Selection::default() };
        assert_eq!(narrow(&from), [slice(0, 10, 10), slice(1, 20, 100)]);
        let both = Selection { to: point("1:30"), ..from };
        assert_eq!(narrow(&both), [slice(0, 10, 10), slice(1, 20, 30)]);
        let places = ["1:50", "1:20", "1:999"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(narrow(&Selection { places, ..all.clone() }), [slice(0, 100, 100), slice(1, 20, 100)]);
        let beyond = Selection { from: point("1:500"), to: point("1:5"), ..all };
        assert!(narrow(&beyond).iter().all(Slice::is_empty));
    }

    #[test]
    fn a_time_is_the_records_and_its_end_is_without() {
        let selection = Selection {
            from: "2026-11-23T08:00:00Z".parse().ok(),
            to: "2026-11-23T09:00:00Z".parse().ok(),
            reasons: vec!["not_json".into(), "empty".into()],
            places: Vec::new(),
        };
        assert_eq!(selection.narrow(slice(0, 10, 100), 40), slice(0, 40, 100));
        for (at, class, taken) in [
            ("2026-11-23T07:59:59.999Z", "signal.not_json", false),
            ("2026-11-23T08:00:00Z", "signal.not_json", true),
            ("2026-11-23T08:59:59.999Z", "signal.empty", true),
            ("2026-11-23T09:00:00Z", "signal.not_json", false),
            ("2026-11-23T08:30:00Z", "signal.no_scope", false),
            ("2026-11-23T08:30:00Z", "empty", true),
        ] {
            assert_eq!(selection.takes(&letter(0, 50, at, class)), taken, "{at} {class}");
        }
        let places = Selection { places: vec![Place { partition: 0, offset: 50 }], ..Selection::default() };
        assert!(places.takes(&letter(0, 50, "2026-11-23T08:00:00Z", "")));
        assert!(!places.takes(&letter(0, 51, "2026-11-23T08:00:00Z", "")));
    }
}

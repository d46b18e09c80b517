//! What two points mean in a topic as it stands: offsets of each partition, fixed when the replay begins.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::point::Point;
use crate::consume::range::{RangeError, Slice, Topic};

/// What is to be read, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Each partition that is meant, also where nothing of it is.
    pub(super) slices: Vec<Slice>,
    /// For people: where it is less than was asked for.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum BoundsError {
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error("the topic has no partition {0}")]
    NoPartition(i32),
    #[error("--from is {partition}:{offset}, and partition {partition} ends at {end}")]
    BehindTheEnd { partition: i32, offset: i64, end: i64 },
    #[error("--from and --to name no partition in common")]
    Apart,
    #[error("--from is behind --to")]
    Backwards,
}

/// Asks the topic where the points are at this moment.
///
/// # Errors
/// If the topic can't tell, or the points make no stretch of it.
pub(super) async fn resolve(
    topic: &Topic,
    from: &Point,
    to: &Point,
    now: OffsetDateTime,
) -> Result<Bounds, BoundsError> {
    let whole = topic.whole().await?;
    let (from, to) = (locate(topic, from, now).await?, locate(topic, to, now).await?);
    bounds(&whole, &from, &to)
}

/// A point whose time has been looked up.
#[derive(Clone, Debug)]
enum Located {
    Beginning,
    End,
    /// By partition, of all that the topic has.
    Time(BTreeMap<i32, i64>),
    Named(BTreeMap<i32, i64>),
}

async fn locate(topic: &Topic, point: &Point, now: OffsetDateTime) -> Result<Located, RangeError> {
    let at = match point {
        Point::Beginning => return Ok(Located::Beginning),
        Point::End => return Ok(Located::End),
        Point::Positions(positions) => return Ok(Located::Named(positions.clone())),
        Point::At(at) => *at,
        // Before all time is before all records.
        Point::Ago(ago) => {
            now.checked_sub((*ago).try_into().unwrap_or(time::Duration::MAX)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        }
    };
    Ok(Located::Time(topic.offsets_at(at).await?))
}

impl Located {
    /// Where it is in a partition, before what is kept is looked at; `None` if the partition is not meant.
    fn offset(&self, whole: &Slice) -> Option<i64> {
        match self {
            Self::Beginning => Some(whole.from),
            Self::End => Some(whole.to),
            // Records that came since the end was looked at are not meant.
            Self::Time(offsets) => Some(offsets.get(&whole.partition).map_or(whole.to, |offset| whole.to.min(*offset))),
            Self::Named(offsets) => offsets.get(&whole.partition).copied(),
        }
    }

    fn names(&self) -> impl Iterator<Item = i32> {
        match self {
            Self::Named(offsets) => Some(offsets.keys().copied()),
            _ => None,
        }
        .into_iter()
        .flatten()
    }
}

fn bounds(whole: &[Slice], from: &Located, to: &Located) -> Result<Bounds, BoundsError> {
    let is_there = |partition: i32| whole.iter().any(|slice| slice.partition == partition);
    if let Some(missing) = from.names().chain(to.names()).find(|partition| !is_there(*partition)) {
        return Err(BoundsError::NoPartition(missing));
    }
    let mut bounds = Bounds::default();
    let mut backwards = false;
    for kept in whole {
        let (Some(begin), Some(end)) = (from.offset(kept), to.offset(kept)) else { continue };
        let partition = kept.partition;
        let named = matches!(from, Located::Named(_));
        if named && begin > kept.to {
            return Err(BoundsError::BehindTheEnd { partition, offset: begin, end: kept.to });
        }
        if named && begin < kept.from {
            let last = kept.from.min(end) - 1;
            bounds.notes.push(format!("partition {partition}: offsets {begin} to {last} are no longer kept"));
        } else if !named && kept.from > 0 && begin <= kept.from && end > kept.from {
            // Whether what is gone was of the time that was asked for nobody knows.
            bounds.notes.push(format!("partition {partition}: nothing before offset {} is kept", kept.from));
        }
        if matches!(to, Located::Named(_)) && end > kept.to {
            bounds.notes.push(format!("partition {partition} ends at offset {}, before {end}", kept.to));
        }
        backwards |= begin > end;
        let (begin, end) = (begin.clamp(kept.from, kept.to), end.clamp(kept.from, kept.to));
        bounds.slices.push(Slice { partition, from: begin, to: end.max(begin) });
    }
    if bounds.slices.is_empty() {
        return Err(BoundsError::Apart);
    }
    if backwards && bounds.slices.iter().all(Slice::is_empty) {
        return Err(BoundsError::Backwards);
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(partition: i32, from: i64, to: i64) -> Slice {
        Slice { partition, from, to }
    }

    /// Three partitions, of which the second has lost its first 40 records and the third is empty.
    const WHOLE: [(i32, i64, i64); 3] = [(0, 0, 100), (1, 40, 90), (2, 0, 0)];

    fn of(from: &Located, to: &Located) -> Result<Bounds, String> {
        let whole = WHOLE.map(|(partition, from, to)| slice(partition, from, to));
        bounds(&whole, from, to).map_err(|error| error.to_string())
    }

    fn named<const N: usize>(offsets: [(i32, i64); N]) -> Located {
        Located::Named(offsets.into())
    }

    #[test]
    fn the_whole_says_what_is_gone() {
        let bounds = of(&Located::Beginning, &Located::End).unwrap();
        assert_eq!(bounds.slices, [slice(0, 0, 100), slice(1, 40, 90), slice(2, 0, 0)]);
        assert_eq!(bounds.notes, ["partition 1: nothing before offset 40 is kept"]);
    }

    #[test]
    fn times_lie_between_what_is_kept() {
        // What a topic answers: by partition the first record of the time, or the end.
        let (ten, eleven) =
            (Located::Time([(0, 20), (1, 40), (2, 0)].into()), Located::Time([(0, 70), (1, 41), (2, 0)].into()));
        let bounds = of(&ten, &eleven).unwrap();
        assert_eq!(bounds.slices, [slice(0, 20, 70), slice(1, 40, 41), slice(2, 0, 0)]);
        assert_eq!(bounds.notes, ["partition 1: nothing before offset 40 is kept"]);
        // Both are before what is kept: there is nothing to say that was meant.
        let bounds = of(&ten, &Located::Time([(0, 30), (1, 40), (2, 0)].into())).unwrap();
        assert_eq!((bounds.slices[1], bounds.notes.len()), (slice(1, 40, 40), 0));
        assert_eq!(of(&eleven, &ten), Err("--from is behind --to".to_owned()));
        let late = of(&Located::Time([(0, 107), (1, 90), (2, 3)].into()), &Located::End).unwrap();
        assert_eq!(late.slices, [slice(0, 100, 100), slice(1, 90, 90), slice(2, 0, 0)]);
    }

    #[test]
    fn partitions_that_are_not_named_are_left_out() {
        let bounds = of(&named([(0, 10)]), &Located::End).unwrap();
        assert_eq!(bounds, Bounds { slices: vec![slice(0, 10, 100)], notes: Vec::new() });
        let bounds = of(&Located::Beginning, &named([(0, 10), (2, 0)])).unwrap();
        assert_eq!(bounds.slices, [slice(0, 0, 10), slice(2, 0, 0)]);
        assert_eq!(
            of(&named([(0, 10)]), &named([(1, 50)])),
            Err("--from and --to name no partition in common".to_owned())
        );
        assert_eq!(of(&named([(7, 0)]), &Located::End), Err("the topic has no partition 7".to_owned()));
        assert_eq!(of(&Located::Beginning, &named([(3, 0)])), Err("the topic has no partition 3".to_owned()));
    }

    #[test]
    fn offsets_that_are_not_there_are_said() {
        let bounds = of(&named([(0, 10), (1, 12)]), &named([(0, 120), (1, 60)])).unwrap();
        assert_eq!(bounds.slices, [slice(0, 10, 100), slice(1, 40, 60)]);
        assert_eq!(
            bounds.notes,
            ["partition 0 ends at offset 100, before 120", "partition 1: offsets 12 to 39 are no longer kept"]
        );
        let gone = of(&named([(1, 0)]), &named([(1, 10)])).unwrap();
        assert_eq!(gone.slices, [slice(1, 40, 40)]);
        assert_eq!(gone.notes, ["partition 1: offsets 0 to 9 are no longer kept"]);
        let behind = of(&named([(0, 101)]), &Located::End);
        assert_eq!(behind, Err("--from is 0:101, and partition 0 ends at 100".to_owned()));
        assert_eq!(of(&named([(0, 100)]), &Located::End).unwrap().slices, [slice(0, 100, 100)]);
        assert_eq!(of(&named([(0, 50)]), &named([(0, 20)])), Err("--from is behind --to".to_owned()));
    }
}

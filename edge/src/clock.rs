//! A clock coarse enough to be read for every frame.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The two clocks as they were together: what is told in Unix time follows from one that never goes back.
static START: LazyLock<(Instant, SystemTime)> = LazyLock::new(|| (Instant::now(), SystemTime::now()));

/// Since the process first asked; never goes back.
pub(crate) fn since_start() -> Duration {
    START.0.elapsed()
}

/// [`since_start`] in whole seconds.
pub(crate) fn seconds() -> u32 {
    u32::try_from(since_start().as_secs()).unwrap_or(u32::MAX)
}

pub(crate) fn unix_seconds() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// What [`since_start`] was once, in Unix milliseconds.
pub(crate) fn unix_millis_at(since_start: Duration) -> i64 {
    let since_epoch = START.1.duration_since(UNIX_EPOCH).unwrap_or_default() + since_start;
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

//! How long to wait before the next try: exponential with full jitter.

use std::time::Duration;

/// Delays between `0` and a ceiling that doubles from `min` to `max`. Full jitter spreads a herd best.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

impl Backoff {
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }

    /// The longest delay before try number `attempt`, counted from 0.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        self.min.saturating_mul(1u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX)).min(self.max)
    }

    /// The delay before try number `attempt`, where `random` is uniform over all of `u32`.
    pub fn delay(&self, attempt: u32, random: u32) -> Duration {
        self.ceiling(attempt).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

    #[test]
    fn doubles_up_to_its_maximum() {
        let ceilings: Vec<_> = (0..9).map(|attempt| BACKOFF.ceiling(attempt).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn stays_below_its_ceiling(attempt: u32, random: u32) {
            prop_assert!(BACKOFF.delay(attempt, random) <= BACKOFF.ceiling(attempt));
        }
    }
}

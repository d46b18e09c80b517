//! How fast one client may talk: a token bucket (RFC 2697 without colours), of frames of any kind.

use std::time::Duration;

/// How many seconds' worth a client that was quiet may say at once: enough to join all its rooms one by one.
const BURST_SECONDS: u32 = 10;

/// The unit of the bucket is a thousandth of a frame, and time is in milliseconds: a frame's worth of both is whole.
const FRAME: u32 = 1000;

#[derive(Debug)]
pub(super) struct Rate {
    /// Frames per second; 0 is no limit.
    limit: u32,
    level: u32,
    /// When it was last looked at, in milliseconds.
    seen: u64,
}

impl Rate {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, level: Self::capacity(limit), seen: 0 }
    }

    fn capacity(limit: u32) -> u32 {
        limit.saturating_mul(FRAME).saturating_mul(BURST_SECONDS)
    }

    /// Whether a frame may be said at `now`, which begins anywhere and never goes back.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        if self.limit == 0 {
            return true;
        }
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let passed = now.saturating_sub(self.seen);
        self.seen = now;
        // A frame per second is a thousandth of a frame per millisecond.
        let gained = u32::try_from(passed.saturating_mul(u64::from(self.limit))).unwrap_or(u32::MAX);
        self.level = self.level.saturating_add(gained).min(Self::capacity(self.limit));
        match self.level.checked_sub(FRAME) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(rate: &mut Rate, frames: u32, at: Duration) -> u32 {
        (0..frames).map(|_| u32::from(rate.take(at))).sum()
    }

    #[test]
    fn a_burst_is_ten_seconds_worth_and_comes_back_at_the_rate() {
        let mut rate = Rate::new(5);
        let start = Duration::from_secs(1_000_000);
        assert_eq!(taken(&mut rate, 100, start), 50);
        assert_eq!(taken(&mut rate, 100, start + Duration::from_secs(1)), 5);
        assert_eq!(taken(&mut rate, 100, start + Duration::from_millis(1200)), 1);
        assert_eq!(taken(&mut rate, 100, start + Duration::from_secs(3600)), 50, "it never holds more than the burst");
    }

    #[test]
    fn no_limit_is_no_limit() {
        assert_eq!(taken(&mut Rate::new(0), 10_000, Duration::ZERO), 10_000);
    }

    proptest! {
        #[test]
        fn whoever_keeps_to_the_rate_is_never_refused(limit in 1u32..10_000, frames in 1u64..2000) {
            let mut rate = Rate::new(limit);
            for frame in 0..frames {
                prop_assert!(rate.take(Duration::from_secs_f64(frame as f64 / f64::from(limit))));
            }
        }

        #[test]
        fn nobody_ever_gets_more_than_burst_and_rate(limit in 1u32..1000, pauses in proptest::collection::vec(0u64..50, 1..2000)) {
            let mut rate = Rate::new(limit);
            let (mut now, mut taken) = (0, 0u64);
            for pause in pauses {
                now += pause;
                taken += u64::from(rate.take(Duration::from_millis(now)));
            }
            prop_assert!(taken <= u64::from(limit) * 10 + u64::from(limit) * now / 1000 + 1);
        }
    }
}

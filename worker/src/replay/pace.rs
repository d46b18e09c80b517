//! So many a second and no more, evenly.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// Pieces in a second: what is let through at once is a tenth of a second's worth.
const PIECES: u32 = 10;

/// When the next piece may begin. Time that was not used is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: NonZeroU32,
    due: Instant,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self { per_second, due: now }
    }

    /// How many may be handled at once.
    pub(super) fn piece(&self) -> usize {
        (self.per_second.get() / PIECES).max(1) as usize
    }

    /// So many have been handled by now. Returns how long to wait before the next piece.
    pub(super) fn wait(&mut self, handled: u64, now: Instant) -> Duration {
        let share = Duration::from_secs_f64(handled as f64 / f64::from(self.per_second.get()));
        self.due = (self.due + share).max(now);
        self.due - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pieces_follow_each_other_at_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(200).unwrap(), start);
        assert_eq!(pace.piece(), 20);
        assert_eq!(pace.wait(20, start), ms(100));
        // A piece that took 30 ms waits for what is left of its share.
        assert_eq!(pace.wait(20, start + ms(130)), ms(70));
        assert_eq!(pace.wait(0, start + ms(150)), ms(50), "nothing more was handled");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(10).unwrap(), start);
        assert_eq!(pace.wait(1, start + ms(5000)), Duration::ZERO);
        assert_eq!(pace.wait(1, start + ms(5000)), ms(100));
        assert_eq!(pace.wait(0, start + ms(5000)), ms(100));
    }

    #[test]
    fn slow_rates_go_one_by_one() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU32::MIN, start);
        assert_eq!((pace.piece(), pace.wait(1, start)), (1, ms(1000)));
    }
}

//! Chance that can be had again: one seed is one stream with one choice of faults.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea and Flood, 2014): a few lines, and even enough to choose by.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that differs from run to run; whoever takes it prints it.
    pub fn seed() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Short enough to be typed again.
        u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Both ends included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them; there is one.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// So many different ones, or all, in any order.
    pub fn some<T: Clone>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut all: Vec<&T> = of.iter().collect();
        let count = count.min(all.len());
        for at in 0..count {
            let other = self.between(at, all.len() - 1);
            all.swap(at, other);
        }
        all.into_iter().take(count).cloned().collect()
    }

    /// One moment in each of so many equal parts of `from..to`: random, and never all at once.
    pub fn moments(&mut self, from: usize, to: usize, count: usize) -> Vec<usize> {
        let part = (to - from) / count.max(1);
        (0..count).map(|number| from + number * part + self.below(part.max(1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_says_it_all() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        // The first output for the seed 0, from the authors' reference implementation.
        assert_eq!(Random::new(0).number(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn choices_keep_to_what_there_is() {
        let mut random = Random::new(1);
        let seen: BTreeSet<usize> = (0..200).map(|_| random.between(3, 6)).collect();
        assert_eq!(seen, BTreeSet::from([3, 4, 5, 6]));
        let some: BTreeSet<u8> = random.some(&[1, 2, 3, 4], 3).into_iter().collect();
        assert_eq!(some.len(), 3);
        assert_eq!(random.some(&[1, 2], 9).len(), 2);
        let moments = random.moments(100, 200, 10);
        assert!(moments.iter().enumerate().all(|(number, at)| (number * 10..number * 10 + 10).contains(&(at - 100))));
    }
}

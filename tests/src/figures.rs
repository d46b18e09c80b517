//! Arithmetic on what was measured.

use std::time::{Duration, Instant};

/// The value below which the `share` of all lies; NaN where there is none.
pub fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let rank = (samples.len() as f64 * share).ceil() as usize;
    samples.get(rank.clamp(1, samples.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// The most that happened within any stretch of this length.
pub fn most_within(times: &mut [Instant], stretch: Duration) -> usize {
    times.sort();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while *at - times[first] >= stretch {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

/// How much more than an even share the fullest of so many equal parts of `0..whole` holds; 1 is even.
pub fn unevenness(values: &[u64], whole: u64, parts: usize) -> f64 {
    let mut counts = vec![0usize; parts];
    for value in values {
        let part = (*value as u128 * parts as u128 / u128::from(whole.max(1))) as usize;
        counts[part.min(parts - 1)] += 1;
    }
    let fullest = counts.into_iter().max().unwrap_or(0);
    fullest as f64 * parts as f64 / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut samples, 0.5), 50.0);
        assert_eq!(quantile(&mut samples, 0.99), 99.0);
        assert_eq!(quantile(&mut samples, 1.0), 100.0);
        assert_eq!(quantile(&mut [7.0], 0.5), 7.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }

    #[test]
    fn a_stretch_begins_anywhere_and_its_end_is_not_in_it() {
        let start = Instant::now();
        let mut times: Vec<Instant> =
            [900, 0, 1000, 1100, 1899, 1900].map(|ms| start + Duration::from_millis(ms)).into();
        assert_eq!(most_within(&mut times, Duration::from_secs(1)), 4);
        assert_eq!(most_within(&mut [], Duration::from_secs(1)), 0);
    }

    #[test]
    fn evenness_is_by_the_fullest_part() {
        let even: Vec<u64> = (0..100).collect();
        assert_eq!(unevenness(&even, 100, 20), 1.0);
        assert_eq!(unevenness(&[0, 1, 99, 50], 100, 2), 1.0);
        assert_eq!(unevenness(&[0, 1, 2, 50], 100, 2), 1.5);
        assert_eq!(unevenness(&[100, 100], 100, 10), 10.0);
    }
}

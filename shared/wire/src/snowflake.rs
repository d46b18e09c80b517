//! Row ids: 48 bits of milliseconds since 2025-01-01T00:00:00Z, 10 bits of worker id, 12 bits of sequence, written in
//! base62 (`0-9A-Za-z`).

use std::fmt;

/// 2025-01-01T00:00:00Z in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_735_689_600_000;
/// Worker ids are 0 to 1023.
pub const MAX_WORKER_ID: u16 = (1 << WORKER_BITS) - 1;

const WORKER_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
const MAX_SEQUENCE: u16 = (1 << SEQUENCE_BITS) - 1;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One id. `Display` writes its base62 form, which is what the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snowflake(u64);

impl Snowflake {
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_ms(self) -> u64 {
        (self.0 >> (WORKER_BITS + SEQUENCE_BITS)) + EPOCH_MS
    }

    pub fn worker_id(self) -> u16 {
        (self.0 >> SEQUENCE_BITS) as u16 & MAX_WORKER_ID
    }

    pub fn sequence(self) -> u16 {
        self.0 as u16 & MAX_SEQUENCE
    }

    /// Reads the base62 form; `None` for anything that `Display` would not have written.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || (text.len() > 1 && text.starts_with('0')) {
            return None;
        }
        text.bytes()
            .try_fold(0u64, |value, byte| {
                let digit = ALPHABET.iter().position(|&letter| letter == byte)? as u64;
                value.checked_mul(62)?.checked_add(digit)
            })
            .map(Self)
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 62^11 exceeds 2^64.
        let mut digits = [0u8; 11];
        let mut at = digits.len();
        let mut rest = self.0;
        loop {
            at -= 1;
            digits[at] = ALPHABET[(rest % 62) as usize];
            rest /= 62;
            if rest == 0 {
                break;
            }
        }
        f.write_str(std::str::from_utf8(&digits[at..]).expect("the alphabet is ASCII"))
    }
}

/// Makes ids that grow strictly, whatever the clock does. Replicas may share a worker id: a collision shows as a
/// primary-key conflict, and whoever inserts takes a new id.
#[derive(Debug)]
pub struct Snowflakes {
    worker_id: u16,
    last_ms: u64,
    sequence: u16,
}

impl Snowflakes {
    /// `None` if the worker id is above [`MAX_WORKER_ID`].
    pub fn new(worker_id: u16) -> Option<Self> {
        (worker_id <= MAX_WORKER_ID).then_some(Self { worker_id, last_ms: 0, sequence: 0 })
    }

    /// The next id at `unix_ms`. A clock that stands or goes back, or more than 4,096 ids in a millisecond, borrow
    /// from the milliseconds to come rather than wait.
    pub fn next(&mut self, unix_ms: u64) -> Snowflake {
        let now = unix_ms.saturating_sub(EPOCH_MS);
        if now > self.last_ms {
            self.last_ms = now;
            self.sequence = 0;
        } else if self.sequence < MAX_SEQUENCE {
            self.sequence += 1;
        } else {
            self.last_ms += 1;
            self.sequence = 0;
        }
        Snowflake(
            (self.last_ms << (WORKER_BITS + SEQUENCE_BITS))
                | (u64::from(self.worker_id) << SEQUENCE_BITS)
                | u64::from(self.sequence),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reproduces_the_recorded_ids() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/ignis.json")).unwrap();
        let samples = vectors["snowflake"]["samples"].as_array().unwrap();
        assert_eq!(samples.len(), 5);
        let mut snowflakes = Snowflakes::new(9).unwrap();
        for sample in samples {
            let at = crate::timestamp::parse(sample["timestamp"].as_str().unwrap()).unwrap();
            let unix_ms = (at.unix_timestamp_nanos() / 1_000_000) as u64;
            let made = snowflakes.next(unix_ms);
            assert_eq!(made.to_string(), sample["id"].as_str().unwrap());
            assert_eq!(made.raw().to_string(), sample["raw"].as_str().unwrap());
            assert_eq!(made.unix_ms(), unix_ms);
            assert_eq!(made.worker_id(), 9);
            assert_eq!(u64::from(made.sequence()), sample["sequence"].as_u64().unwrap());
        }
    }

    #[test]
    fn grows_when_the_clock_goes_back_and_when_a_millisecond_is_full() {
        let mut snowflakes = Snowflakes::new(9).unwrap();
        let mut last = snowflakes.next(EPOCH_MS + 1000);
        for i in 0..10_000u64 {
            let next = snowflakes.next(EPOCH_MS + 1000 - i % 500);
            assert!(next > last);
            last = next;
        }
        assert_eq!(last.unix_ms(), EPOCH_MS + 1002);
    }

    #[test]
    fn refuses_worker_ids_that_do_not_fit() {
        assert!(Snowflakes::new(1024).is_none());
    }

    proptest! {
        #[test]
        fn base62_round_trips(raw: u64) {
            prop_assert_eq!(Snowflake::parse(&Snowflake(raw).to_string()), Some(Snowflake(raw)));
        }

        #[test]
        fn only_canonical_text_parses(text in "[0-9A-Za-z!é]{0,14}") {
            if let Some(id) = Snowflake::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}

//! The edge's answer to `authenticate`, and the last thing it says in plaintext.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Raw uncompressed P-256 point (SEC 1, 2.3.3).
pub const PUBLIC_KEY_BYTES: usize = 65;
pub const SALT_BYTES: usize = 32;

/// `connected.data`, in the order in which existing clients have always seen it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    pub id: String,
    /// As the token has it: a string or a number.
    pub user_id: Box<RawValue>,
    /// RFC 3339, UTC.
    pub time: String,
    pub server_public_key: String,
    pub salt: String,
}

/// Strict padded base64 of exactly `N` bytes.
pub fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    // One byte more than asked for, so that longer input is an error and not a truncation.
    let mut bytes = [0u8; 128];
    if text.len() > 4 * N.div_ceil(3) || N > 96 {
        return None;
    }
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

/// Padded base64.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_strict() {
        assert_eq!(decode_exact::<3>("AAAA"), Some([0; 3]));
        assert_eq!(decode_exact::<1>("AA=="), Some([0]));
        for text in ["AA", "AA=", "AB==", "AA==\n", " AA==", "A-==", "", "AAAA"] {
            assert_eq!(decode_exact::<1>(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip(bytes: [u8; 32], tail: [u8; 32]) {
            let key: [u8; 64] = [bytes, tail].concat().try_into().unwrap();
            prop_assert_eq!(decode_exact::<64>(&encode(&key)), Some(key));
            prop_assert_eq!(decode_exact::<63>(&encode(&key)), None);
            prop_assert_eq!(decode_exact::<65>(&encode(&key)), None);
        }
    }
}

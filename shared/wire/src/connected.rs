//! The edge's answer to `authenticate`, and the last thing it says in plaintext.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Raw uncompressed P-256 point (SEC 1, 2.3.3).
pub const PUBLIC_KEY_BYTES: usize = 65;
pub const SALT_BYTES: usize = 32;
/// ES256: `r || s` (RFC 7518, 3.4).
pub const SIGNATURE_BYTES: usize = 64;

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
    /// The version that is spoken from here on; v1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// Of the identity that signed: its key's thumbprint (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Over the transcript, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
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

    fn connected() -> Connected {
        Connected {
            id: "c".to_owned(),
            user_id: RawValue::from_string("42".to_owned()).unwrap(),
            time: "t".to_owned(),
            server_public_key: "k".to_owned(),
            salt: "s".to_owned(),
            protocol: None,
            key_id: None,
            signature: None,
        }
    }

    #[test]
    fn v1_clients_see_what_they_always_saw() {
        let text = r#"{"id":"c","userId":42,"time":"t","serverPublicKey":"k","salt":"s"}"#;
        assert_eq!(serde_json::to_string(&connected()).unwrap(), text);
        let read: Connected = serde_json::from_str(text).unwrap();
        assert_eq!((read.protocol, read.key_id, read.signature), (None, None, None));
    }

    #[test]
    fn v2_says_its_version_and_who_signs_after_the_rest() {
        let signed = Connected {
            protocol: Some(2),
            key_id: Some("i".to_owned()),
            signature: Some("g".to_owned()),
            ..connected()
        };
        let text = serde_json::to_string(&signed).unwrap();
        assert!(text.ends_with(r#""salt":"s","protocol":2,"keyId":"i","signature":"g"}"#), "{text}");
    }

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

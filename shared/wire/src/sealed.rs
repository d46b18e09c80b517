//! The v1 envelope of a sealed message: `{"event":"encrypted","data":{"iv":B64,"ct":B64}}`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::frame::Malformed;

/// The envelope around the two base64 values, as `JSON.stringify` lays it out.
pub const HEAD: &[u8] = b"{\"event\":\"encrypted\",\"data\":{\"iv\":\"";
pub const MIDDLE: &[u8] = b"\",\"ct\":\"";
pub const TAIL: &[u8] = b"\"}}";

/// `data` of an `encrypted` event, still in base64.
#[derive(Debug, Deserialize)]
pub struct Sealed<'a> {
    #[serde(borrow)]
    pub iv: Cow<'a, str>,
    #[serde(borrow)]
    pub ct: Cow<'a, str>,
}

impl<'a> Sealed<'a> {
    /// Reads `data` of an `encrypted` event.
    pub fn parse(data: &'a str) -> Result<Self, Malformed> {
        if !data.trim_start().starts_with('{') {
            return Err(Malformed);
        }
        serde_json::from_str(data).map_err(|_| Malformed)
    }
}

/// The length of an envelope around `plaintext` bytes, so that a frame header can be written before its payload.
pub const fn sealed_len(plaintext: usize) -> usize {
    let ciphertext = plaintext + 16;
    HEAD.len() + 16 + MIDDLE.len() + ciphertext.div_ceil(3) * 4 + TAIL.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_envelope() {
        for data in ["null", "[\"a\",\"b\"]", "{}", r#"{"iv":"a"}"#, r#"{"iv":1,"ct":"a"}"#, "7", ""] {
            assert!(Sealed::parse(data).is_err(), "{data}");
        }
    }
}

//! A compact JWS taken apart, before anything in it is believed (RFC 7515, section 7.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::verifier::Refusal;

/// Longer tokens are refused unread: nothing legitimate comes close.
const MAX_BYTES: usize = 32 * 1024;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that a verifier must understand (RFC 7515, section 4.1.11). None is.
    crit: Option<Value>,
}

pub(crate) struct Token<'a> {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    /// What the signature covers: header, dot, payload.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Token<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        if payload.contains('.') {
            return Err(Refusal::Malformed);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        Ok(Self { alg: header.alg, kid: header.kid, signed: signed.as_bytes(), signature: decode(signature)?, payload })
    }

    /// The claims; to be called once the signature has been found good.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        serde_json::from_slice(&decode(self.payload)?).map_err(|_| Refusal::Malformed)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

//! PEM (RFC 7468), read loosely as to whitespace and strictly as to all else.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::IdentityKeyError;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The DER of each block, all of which must be private keys. What stands between blocks is passed over.
pub(super) fn private_keys(text: &str) -> Result<Vec<Zeroizing<Vec<u8>>>, IdentityKeyError> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let mut keys = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (label, block) = block.split_once(DASHES).ok_or(IdentityKeyError::Malformed)?;
        if label != PRIVATE_KEY {
            // A label is a few words; what is longer is a key in the wrong place, and is not to be shown.
            let label = if label.len() <= 32 { label } else { "?" };
            return Err(IdentityKeyError::Label(label.to_owned()));
        }
        let (body, after) = block.split_once("-----END PRIVATE KEY-----").ok_or(IdentityKeyError::Malformed)?;
        // With room for all of it from the start, so that no part stays behind in memory that was outgrown.
        let mut letters = Zeroizing::new(String::with_capacity(body.len()));
        letters.extend(body.split_whitespace());
        keys.push(Zeroizing::new(STANDARD.decode(&*letters).map_err(|_| IdentityKeyError::Malformed)?));
        rest = after;
    }
    Ok(keys)
}

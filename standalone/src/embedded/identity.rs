//! The edge's identity for development: one P-256 key that clients of protocol v2 can pin.

use std::sync::Arc;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use signal_seal::identity::IdentityKey;

use super::data_dir::{DataDir, DataDirError};

const KEY_FILE: &str = "identity-key.pem";

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    File(#[from] DataDirError),
    #[error("{KEY_FILE} in SIGNAL_DATA_DIR is no P-256 key; delete it and a new one is made")]
    Key,
}

/// The identity with the key in `dir`, which is made at the first start.
///
/// # Errors
/// If the key cannot be read, written or used.
pub fn open(dir: &DataDir) -> Result<Arc<IdentityKey>, IdentityError> {
    let pem = dir.read_or_create(KEY_FILE, || {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.expect("the operating system's random source works");
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(document)).into_bytes()
    })?;
    let pem = std::str::from_utf8(&pem).map_err(|_| IdentityError::Key)?;
    IdentityKey::from_pem(pem).map(Arc::new).map_err(|_| IdentityError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let key_id = || open(&DataDir::open(folder.path()).unwrap()).unwrap().key_id().to_owned();
        assert_eq!(key_id(), key_id());
        std::fs::write(folder.path().join(KEY_FILE), "nonsense").unwrap();
        assert!(matches!(open(&DataDir::open(folder.path()).unwrap()), Err(IdentityError::Key)));
    }
}

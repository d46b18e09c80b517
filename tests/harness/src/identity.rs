//! A key for an edge's identity.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::pem;

/// A P-256 key as `openssl genpkey` writes it: PEM of PKCS#8.
pub fn identity_key() -> String {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    pem::encode("PRIVATE KEY", key.serialized_der())
}

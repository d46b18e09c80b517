//! JWK sets, token verification, claims decryption.

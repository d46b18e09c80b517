//! One agreement between an edge and a client, and the two ends of a connection that come of it.

use std::sync::LazyLock;

use signal_seal::{
    Side,
    agreement::{KeyAgreement, Portable, PublicKey, SharedSecret},
    derive::{Transcript, session_key_v1},
    v1, v2,
};

const SALT: [u8; 32] = [0x5e; 32];
const CLIENT_ID: [u8; 16] = [0x1d; 16];

struct Agreed {
    client: PublicKey,
    edge: PublicKey,
    secret: SharedSecret,
}

/// Made once: it takes longer than everything else that a run does.
static AGREED: LazyLock<Agreed> = LazyLock::new(|| {
    let pair = |scalar| Portable::from_private_key(&[scalar; 32]).expect("it is a scalar of P-256");
    let (client, edge) = (pair(0x4b).public_key(), pair(0x1b));
    Agreed { edge: edge.public_key(), secret: edge.agree(&client).expect("it is a public key"), client }
});

pub fn v1(side: Side) -> v1::Cipher {
    v1::Cipher::new(session_key_v1(&AGREED.secret, &SALT), side, [0; 4])
}

pub fn v2(side: Side) -> v2::Cipher {
    let transcript = Transcript::new(&AGREED.client, &AGREED.edge, &SALT, &CLIENT_ID);
    v2::Cipher::new(&AGREED.secret, &SALT, &transcript, side)
}

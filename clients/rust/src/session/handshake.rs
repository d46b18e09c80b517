//! From an open socket to shared keys.

use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
#[cfg(feature = "aws-lc")]
use signal_seal::agreement::AwsLc as Agreement;
#[cfg(not(feature = "aws-lc"))]
use signal_seal::agreement::Portable as Agreement;
use signal_seal::{
    Side,
    agreement::{KeyAgreement, PublicKey, SharedSecret, parse_public_key},
    derive::{Transcript, session_key_v1},
    v1, v2,
};
use signal_wire::{
    connected::{self, SALT_BYTES, decode_exact, encode},
    frame::ClientFrame,
    message::{self, event},
    protocol::Protocol,
};
use tokio_tungstenite::tungstenite::Message as RawFrame;
use uuid::Uuid;

use super::{
    Connected, OpenError, Socket,
    cipher::{Opening, Sealing},
    endpoint::Terms,
    reader::close_of,
};
use crate::disconnect::Close;

#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) connected: Connected,
    pub(super) opening: Opening,
    pub(super) sealing: Sealing,
}

/// Nothing sealed has been sent when this returns, and the token has been sent in `authenticate` alone.
pub(super) async fn run(socket: &mut Socket, terms: &Terms, token: &str) -> Result<Agreed, OpenError> {
    let pair = Agreement::generate().map_err(|_| OpenError::Randomness)?;
    let own_key = pair.public_key();
    // v1 is asked for by not asking, as clients that know nothing else do.
    let protocol = (terms.protocol != Protocol::V1).then(|| terms.protocol.number());
    let credentials = Credentials { scheme: "Bearer", token, public_key: encode(&own_key), protocol };
    let authenticate = message::compose_value(event::AUTHENTICATE, &credentials);
    let authenticate = String::from_utf8(authenticate).expect("JSON is UTF-8");
    // An edge that is closing already may still have said why, and that is there to be read.
    let sent = socket.send(RawFrame::text(authenticate)).await;
    let offer = match await_offer(socket).await {
        Err(OpenError::Broken(reason)) => return Err(OpenError::Broken(sent.err().map_or(reason, |e| e.to_string()))),
        other => other?,
    };
    agree(pair, &own_key, terms, offer)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    #[serde(rename = "type")]
    scheme: &'a str,
    token: &'a str,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u8>,
}

/// Reads up to `connected`. Everything until then is in plaintext and is worth no trust.
async fn await_offer(socket: &mut Socket) -> Result<connected::Connected, OpenError> {
    let mut said = None;
    loop {
        let frame = match socket.next().await {
            Some(Ok(RawFrame::Text(text))) => text,
            Some(Ok(RawFrame::Close(frame))) => {
                let close = close_of(frame);
                // The answer to the close is owed, but nothing depends on it.
                let _ = socket.flush().await;
                return Err(OpenError::Refused { close, said });
            }
            Some(Ok(RawFrame::Ping(_) | RawFrame::Pong(_))) => continue,
            Some(Ok(RawFrame::Binary(_) | RawFrame::Frame(_))) => return Err(OpenError::Malformed),
            Some(Err(error)) => return Err(OpenError::Broken(error.to_string())),
            None => {
                let close = Close { code: 1006, reason: String::new() };
                return Err(OpenError::Refused { close, said });
            }
        };
        let frame = ClientFrame::parse(frame.as_bytes()).map_err(|_| OpenError::Malformed)?;
        match (&*frame.event, frame.data) {
            (event::CONNECTED, Some(data)) => {
                return serde_json::from_str(data.get()).map_err(|_| OpenError::Malformed);
            }
            (event::ERROR, data) => said = error_text(data.map(|data| data.get())),
            _ => return Err(OpenError::Malformed),
        }
    }
}

/// What an `error` event says.
pub(crate) fn error_text(data: Option<&str>) -> Option<String> {
    #[derive(Deserialize)]
    struct Data {
        message: String,
    }
    serde_json::from_str::<Data>(data?).ok().map(|data| data.message)
}

fn agree(
    pair: Agreement,
    own_key: &PublicKey,
    terms: &Terms,
    offer: connected::Connected,
) -> Result<Agreed, OpenError> {
    let server_key = parse_public_key(&offer.server_public_key).map_err(|_| OpenError::Malformed)?;
    let salt: [u8; SALT_BYTES] = decode_exact(&offer.salt).ok_or(OpenError::Malformed)?;
    let secret = pair.agree(&server_key).map_err(|_| OpenError::Malformed)?;
    let (protocol, identity, opening, sealing) = match offer.protocol {
        None | Some(1) => {
            terms.pins.allow_v1()?;
            let (opening, sealing) = ciphers_v1(&secret, &salt)?;
            (Protocol::V1, None, opening, sealing)
        }
        Some(2) if terms.protocol == Protocol::V2 => {
            let client_id = Uuid::try_parse(&offer.id).map_err(|_| OpenError::Malformed)?;
            let transcript = Transcript::new(own_key, &server_key, &salt, client_id.as_bytes());
            let identity = terms.pins.verify(&offer, &transcript)?;
            let (sealing, opening) = v2::Cipher::new(&secret, &salt, &transcript, Side::Client).into_split();
            (Protocol::V2, identity, Opening::V2(opening), Sealing::V2(sealing))
        }
        // A version that nobody asked for.
        Some(_) => return Err(OpenError::Malformed),
    };
    Ok(Agreed { connected: Connected::new(offer, protocol, identity)?, opening, sealing })
}

fn ciphers_v1(secret: &SharedSecret, salt: &[u8; SALT_BYTES]) -> Result<(Opening, Sealing), OpenError> {
    let mut iv_prefix = [0; 4];
    getrandom::fill(&mut iv_prefix).map_err(|_| OpenError::Randomness)?;
    let cipher = || v1::Cipher::new(session_key_v1(secret, salt), Side::Client, iv_prefix);
    Ok((Opening::V1(cipher()), Sealing::V1(cipher())))
}

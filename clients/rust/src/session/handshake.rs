//! From an open socket to a shared key.

use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
#[cfg(feature = "aws-lc")]
use signal_seal::agreement::AwsLc as Agreement;
#[cfg(not(feature = "aws-lc"))]
use signal_seal::agreement::Portable as Agreement;
use signal_seal::{
    agreement::{KeyAgreement, parse_public_key},
    derive::session_key_v1,
    v1::{Cipher, Side},
};
use signal_wire::{
    connected::{self, decode_exact, encode},
    frame::ClientFrame,
    message::{self, event},
};
use tokio_tungstenite::tungstenite::Message as RawFrame;

use super::{Connected, OpenError, Socket, reader::close_of};
use crate::disconnect::Close;

/// Both ciphers have the one key of the session; only the sealing one uses up IVs.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) connected: Connected,
    pub(super) opening: Cipher,
    pub(super) sealing: Cipher,
}

pub(super) async fn run(socket: &mut Socket, token: &str) -> Result<Agreed, OpenError> {
    let pair = Agreement::generate().map_err(|_| OpenError::Randomness)?;
    let credentials = Credentials { scheme: "Bearer", token, public_key: encode(&pair.public_key()) };
    let authenticate = message::compose_value(event::AUTHENTICATE, &credentials);
    let authenticate = String::from_utf8(authenticate).expect("JSON is UTF-8");
    // An edge that is closing already may still have said why, and that is there to be read.
    let sent = socket.send(RawFrame::text(authenticate)).await;
    let offer = match await_offer(socket).await {
        Err(OpenError::Broken(reason)) => return Err(OpenError::Broken(sent.err().map_or(reason, |e| e.to_string()))),
        other => other?,
    };
    agree(pair, offer)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    #[serde(rename = "type")]
    scheme: &'a str,
    token: &'a str,
    public_key: String,
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

fn agree(pair: Agreement, offer: connected::Connected) -> Result<Agreed, OpenError> {
    let server_key = parse_public_key(&offer.server_public_key).map_err(|_| OpenError::Malformed)?;
    let salt = decode_exact(&offer.salt).ok_or(OpenError::Malformed)?;
    let secret = pair.agree(&server_key).map_err(|_| OpenError::Malformed)?;
    let mut iv_prefix = [0; 4];
    getrandom::fill(&mut iv_prefix).map_err(|_| OpenError::Randomness)?;
    let cipher = || Cipher::new(session_key_v1(&secret, &salt), Side::Client, iv_prefix);
    Ok(Agreed { opening: cipher(), sealing: cipher(), connected: offer.try_into()? })
}

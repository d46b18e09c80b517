//! Where sessions are opened, and how.

use std::{fmt, io, sync::Arc, time::Duration};

use signal_wire::protocol::Protocol;
use tokio_tungstenite::tungstenite::{http::Uri, protocol::WebSocketConfig};

use super::pins::Pins;
use crate::{
    builder::ConfigError,
    dial::{Dial, Tcp, Transport},
};

/// An edge passes on envelopes of up to 1 MiB, which sealing makes a third larger.
const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Most pushes fit; tungstenite's own 128 KiB would be paid by every session from the start.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// An edge's address and how to speak to it. Cheap to clone; one serves any number of sessions.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) uri: Uri,
    pub(super) frames: WebSocketConfig,
    pub(super) open_timeout: Duration,
    pub(super) handshake_timeout: Duration,
    pub(super) terms: Terms,
    dial: Arc<dyn Dial>,
    secure: Secure,
}

/// What a client asks of the edge that it meets.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) protocol: Protocol,
    pub(super) pins: Pins,
}

/// Whether TLS comes on top of what was dialled.
#[derive(Clone)]
enum Secure {
    No,
    #[cfg(feature = "tls")]
    Yes(Arc<tokio_rustls::rustls::ClientConfig>),
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may carry what is nobody's business.
        f.debug_struct("Endpoint")
            .field("host", &self.uri.host())
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// # Errors
    /// If `url` is not `ws://` or `wss://` with a host, or TLS cannot be had.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let uri: Uri = url.parse().map_err(|_| ConfigError::Url)?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(ConfigError::Url);
        }
        let secure = match uri.scheme_str() {
            Some("ws") => Secure::No,
            #[cfg(feature = "tls")]
            Some("wss") => {
                Secure::Yes(crate::dial::tls::platform().map_err(|error| ConfigError::Tls(error.to_string()))?)
            }
            #[cfg(not(feature = "tls"))]
            Some("wss") => return Err(ConfigError::Tls("the crate is built without its feature `tls`".into())),
            _ => return Err(ConfigError::Url),
        };
        let frames = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        Ok(Self {
            uri,
            frames,
            open_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(20),
            terms: Terms { protocol: Protocol::V2, pins: Pins::default() },
            dial: Arc::new(Tcp::default()),
            secure,
        })
    }

    /// Opens byte streams in another way than over TCP from any address.
    #[must_use]
    pub fn dial_with(mut self, dial: impl Dial + 'static) -> Self {
        self.dial = Arc::new(dial);
        self
    }

    /// What each session holds to read into; more is allocated while a larger frame arrives.
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> Self {
        self.frames = self.frames.read_buffer_size(bytes);
        self
    }

    /// From the first packet to an open WebSocket; 10 s unless told.
    #[must_use]
    pub fn open_timeout(mut self, within: Duration) -> Self {
        self.open_timeout = within;
        self
    }

    /// From `authenticate` to `connected`; 20 s unless told, a little more than edges allow themselves.
    #[must_use]
    pub fn handshake_timeout(mut self, within: Duration) -> Self {
        self.handshake_timeout = within;
        self
    }

    /// The version to ask for; v2 unless told. An edge that does not know v2 answers with v1.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.terms.protocol = protocol;
        self
    }

    /// Talks to no edge that does not prove that it has the private part of one of these keys: a JWK, or a JWK set as
    /// edges show it at `{base}/identity`, obtained on a way that is trusted. More than one call adds to the pins.
    ///
    /// # Errors
    /// If there is no P-256 key for signatures in `keys`, or a private one.
    pub fn pin(mut self, keys: &str) -> Result<Self, ConfigError> {
        self.terms.pins.add(keys)?;
        Ok(self)
    }

    /// # Errors
    /// If no edge could ever be what is asked for.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let never = self.terms.protocol == Protocol::V1 && !self.terms.pins.is_empty();
        if never { Err(ConfigError::PinNeedsV2) } else { Ok(()) }
    }

    /// Replaces the certificates that the operating system trusts.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        if let Secure::Yes(held) = &mut self.secure {
            *held = config;
        }
        self
    }

    pub(super) async fn dial(&self) -> io::Result<Box<dyn Transport>> {
        // In a URL, and only there, an IPv6 address wears brackets.
        let host = self.uri.host().expect("checked when it was made").trim_start_matches('[').trim_end_matches(']');
        match &self.secure {
            Secure::No => self.dial.dial(host, self.uri.port_u16().unwrap_or(80)).await,
            #[cfg(feature = "tls")]
            Secure::Yes(config) => {
                let stream = self.dial.dial(host, self.uri.port_u16().unwrap_or(443)).await?;
                crate::dial::tls::wrap(config, host, stream).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_websocket_addresses_only() {
        for url in ["ws://localhost/stream", "ws://[::1]:31090/stream", "ws://h"] {
            Endpoint::new(url).unwrap();
        }
        for url in ["http://h/stream", "h:31090/stream", "/stream", "ws://", "", "ws:///stream"] {
            assert!(matches!(Endpoint::new(url), Err(ConfigError::Url)), "{url}");
        }
    }

    #[test]
    fn debug_output_has_no_query() {
        assert!(!format!("{:?}", Endpoint::new("ws://h/stream?key=secret").unwrap()).contains("secret"));
    }
}

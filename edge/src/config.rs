//! The edge's settings.

use std::{sync::Arc, time::Duration};

use signal_auth::{AuthSettings, PermissionSettings};
use signal_bus::Mode;
use signal_seal::identity::{IdentityKey, IdentityKeyError};
use signal_service::{
    Secret,
    settings::{
        BackplaneSettings, CorsSettings, DatabaseSettings, HttpSettings, LogSettings, ShutdownSettings, TraceSettings,
        groups::SameAddress, values,
    },
};

use crate::{admission::TrustedProxies, rooms::JoinableRooms, session::machine::PlaintextInbound};

/// Everything that `signal-edge` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct EdgeSettings {
    #[command(flatten)]
    pub http: HttpSettings,
    #[command(flatten)]
    pub auth: AuthSettings,
    #[command(flatten)]
    pub backplane: BackplaneSettings,
    #[command(flatten)]
    pub database: DatabaseSettings,
    #[command(flatten)]
    pub permissions: PermissionSettings,
    #[command(flatten)]
    pub stream: StreamSettings,
    #[command(flatten)]
    pub log: LogSettings,
    #[command(flatten)]
    pub traces: TraceSettings,
    #[command(flatten)]
    pub shutdown: ShutdownSettings,
}

/// What holds for every client.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamSettings {
    /// Where clients open their WebSocket.
    #[arg(long, env = "SIGNAL_STREAM_PATH", value_name = "PATH", default_value = "/stream", value_parser = stream_path)]
    pub stream_path: String,

    /// Rooms that clients may join beside the automatic ones, separated by commas; `{userId}` stands for the client's
    /// user, a `*` at the end for anything.
    #[arg(long, env = "SIGNAL_JOINABLE_ROOMS", value_name = "PATTERNS", default_value = "", value_parser = joinable_rooms)]
    pub joinable_rooms: JoinableRooms,

    #[command(flatten)]
    pub cors: CorsSettings,

    /// Whether a session ends when its token expires.
    #[arg(long, env = "SIGNAL_TOKEN_EXPIRY", value_name = "POLICY", value_enum, default_value_t)]
    pub token_expiry: TokenExpiry,

    /// What authenticated clients may say outside an encrypted envelope.
    #[arg(long, env = "SIGNAL_PLAINTEXT_INBOUND", value_name = "POLICY", value_enum, default_value_t)]
    pub plaintext_inbound: PlaintextInbound,

    /// Whether the edge subscribes to the channels of its own clients or to everybody's.
    #[arg(long, env = "SIGNAL_BUS_SUBSCRIPTION", value_name = "MODE", value_enum, default_value_t)]
    pub bus_subscription: BusSubscription,

    /// The edge's identity: PEM with a P-256 private key (PKCS#8) that signs handshakes of protocol v2. Further keys in it
    /// are published along, for clients to learn before they sign. `\n` may stand for a line break.
    #[arg(long, env = "SIGNAL_IDENTITY_KEY", value_name = "PEM", hide_env_values = true)]
    pub identity_key: Option<Secret>,

    /// WebSockets; whoever asks for one more gets 503. Never more than the process may have files open.
    #[arg(long, env = "SIGNAL_MAX_CONNECTIONS", value_name = "COUNT", default_value = "100000", value_parser = values::some)]
    pub max_connections: usize,

    /// Connections from one address (IPv6: from one /64); whoever asks for one more gets 429. 0 is no limit, which is
    /// right where clients come through a gateway that is not among the trusted proxies.
    #[arg(long, env = "SIGNAL_MAX_CONNECTIONS_PER_IP", value_name = "COUNT", default_value_t = 0)]
    pub max_connections_per_ip: u32,

    /// Connections that are no authenticated client: handshakes and REST requests in flight. Above it they wait to be
    /// accepted, and who has been silent for longest, a second at least, makes room (WebSockets: close 4009).
    #[arg(long, env = "SIGNAL_MAX_HANDSHAKES", value_name = "COUNT", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_handshakes: u32,

    /// Networks of the proxies whose `X-Forwarded-For` is believed, separated by commas: 10.0.0.0/8,192.0.2.7.
    #[arg(long, env = "SIGNAL_TRUSTED_PROXIES", value_name = "NETWORKS", default_value = "", value_parser = TrustedProxies::parse)]
    pub trusted_proxies: TrustedProxies,

    /// Frames of any kind that a client may send per second; ten seconds' worth at once. Past it the client is closed
    /// with 4009. 0 is no limit.
    #[arg(long, env = "SIGNAL_MESSAGE_RATE", value_name = "FRAMES", default_value_t = 100)]
    pub message_rate: u32,

    /// How long a connection may live that does not become a WebSocket.
    #[arg(long, env = "SIGNAL_HTTP_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = values::some_duration)]
    pub http_timeout: Duration,

    /// What may wait for a client that reads slowly; past it the client is closed with 4008.
    #[arg(long, env = "SIGNAL_OUTBOUND_LIMIT", value_name = "SIZE", default_value = "1MiB", value_parser = values::some_bytes)]
    pub outbound_limit: usize,

    /// From the opening of a socket to `authenticate`; past it the client is closed with 4001.
    #[arg(long, env = "SIGNAL_AUTHENTICATION_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = values::some_duration)]
    pub authentication_timeout: Duration,

    /// From `authenticate` to `connected`; past it the client is closed with 4001.
    #[arg(long, env = "SIGNAL_HANDSHAKE_TIMEOUT", value_name = "DURATION", default_value = "15s", value_parser = values::some_duration)]
    pub handshake_timeout: Duration,

    /// How often silent clients are looked for.
    #[arg(long, env = "SIGNAL_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = values::some_duration)]
    pub heartbeat_interval: Duration,

    /// Clients silent for longer are closed with 4002.
    #[arg(long, env = "SIGNAL_HEARTBEAT_TIMEOUT", value_name = "DURATION", default_value = "90s", value_parser = values::some_duration)]
    pub heartbeat_timeout: Duration,

    /// How long a stop takes to send its clients to other edges, evenly spread; cut to what the shutdown deadline leaves.
    /// [default: 20s; in one process with everything else: 0]
    #[arg(long, env = "SIGNAL_DRAIN_WINDOW", value_name = "DURATION", value_parser = values::duration)]
    pub drain_window: Option<Duration>,

    /// Clients are sent to another edge after about so long, a tenth more or less, so that a fleet that has grown evens
    /// out. 0 is never.
    #[arg(long, env = "SIGNAL_MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "0", value_parser = values::duration)]
    pub max_connection_age: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenExpiry {
    /// The session is closed with 4005.
    #[default]
    Enforce,
    /// The session goes on, as with the service before.
    Ignore,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BusSubscription {
    /// One subscription for each room, user and client that is here.
    #[default]
    Exact,
    /// Patterns that match everybody's, as the service before did.
    Pattern,
}

impl From<BusSubscription> for Mode {
    fn from(subscription: BusSubscription) -> Self {
        match subscription {
            BusSubscription::Exact => Self::Exact,
            BusSubscription::Pattern => Self::Pattern,
        }
    }
}

fn joinable_rooms(text: &str) -> Result<JoinableRooms, String> {
    // User 1 would be let into the rooms of user 10.
    if text.contains("{userId}*") {
        return Err("needs something between {userId} and *, such as desk/{userId}/*".to_owned());
    }
    if text.replace("{userId}", "").contains(['{', '}']) {
        return Err("nothing but {userId} may stand in braces".to_owned());
    }
    let mut patterns = text.split(',').map(str::trim);
    if let Some(pattern) =
        patterns.find(|pattern| pattern.trim_end().strip_suffix('*').unwrap_or(pattern).contains('*'))
    {
        return Err(format!("a * stands for anything at the end alone, and {pattern} has one elsewhere"));
    }
    Ok(JoinableRooms::new(text.split(',').map(str::trim)))
}

/// Files that are no connection's: listeners, the backplane, logs, an operator's look at the metrics.
const OTHER_FILES: u64 = 64;

/// A process that may open few files still has most of them for clients.
const HANDSHAKE_SHARE: u64 = 4;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SIGNAL_STREAM_PATH is {path}, where something else is answered ({taken}); the default is /stream")]
pub struct TakenPath {
    path: String,
    taken: String,
}

/// What is answered below SIGNAL_BASE_PATH, by the edge or by the worker behind the same host, each with all that is
/// below it.
const REST_PATHS: [&str; 4] = ["/socket/websocket", "/identity", "/notifications", "/doc"];

impl EdgeSettings {
    /// What each setting by itself does not show.
    ///
    /// # Errors
    /// If two of them want the same place.
    pub fn check(&self) -> Result<(), PlaceError> {
        self.http.check()?;
        Ok(self.stream.check_path(&self.http.base_path, &[])?)
    }
}

/// Two settings that want the same place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Address(#[from] SameAddress),
    #[error(transparent)]
    Path(#[from] TakenPath),
}

impl StreamSettings {
    /// # Errors
    /// If the stream is where the REST API is, or in one of the `others` or below it.
    pub fn check_path(&self, base_path: &str, others: &[&str]) -> Result<(), TakenPath> {
        let path = self.stream_path.as_str();
        let below =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // The root is refused as it is read.
        let rest = path == base_path || REST_PATHS.iter().any(|route| below(&format!("{base_path}{route}")));
        let taken = if rest {
            Some("the REST API below SIGNAL_BASE_PATH")
        } else {
            others.iter().copied().find(|other| below(other))
        };
        taken.map_or(Ok(()), |taken| Err(TakenPath { path: path.to_owned(), taken: taken.to_owned() }))
    }

    /// The identity, if there is one.
    ///
    /// # Errors
    /// If the text is no private key of P-256.
    pub fn identity(&self) -> Result<Option<Arc<IdentityKey>>, IdentityKeyError> {
        let read = |pem: &Secret| IdentityKey::from_pem(pem.expose()).map(Arc::new);
        self.identity_key.as_ref().map(read).transpose()
    }

    /// Asks for as many open files as the process may have, and accepts no more sockets than that leaves room for.
    pub fn fit_to_open_files(&mut self) -> std::io::Result<()> {
        let files = rlimit::increase_nofile_limit(u64::MAX)?;
        let connections = files.saturating_sub(OTHER_FILES);
        let handshakes = u32::try_from(connections / HANDSHAKE_SHARE).unwrap_or(u32::MAX);
        self.max_handshakes = self.max_handshakes.min(handshakes.max(1));
        let room = usize::try_from(connections.saturating_sub(self.max_handshakes.into())).unwrap_or(usize::MAX);
        if room < self.max_connections {
            tracing::warn!(
                open_files = files,
                connections = room,
                "SIGNAL_MAX_CONNECTIONS is above what the process may open"
            );
            self.max_connections = room;
        }
        Ok(())
    }
}

/// The root belongs to whatever else is served.
fn stream_path(text: &str) -> Result<String, String> {
    values::url_path(text).and_then(|path| if path.is_empty() { Err("must not be the root".into()) } else { Ok(path) })
}

#[cfg(test)]
mod tests {
    use signal_service::settings::{Source, parse};

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        settings: EdgeSettings,
    }

    #[test]
    fn the_stream_is_where_nothing_else_is() {
        let checked = |path: &str, base: &str| {
            let args = ["edge", "--stream-path", path, "--base-path", base];
            parse::<Cli>(args, &Source::default()).expect("each by itself is valid").settings.check()
        };
        for (path, base) in [
            ("/stream", "/v1/api/signal"),
            ("/v1/api/signal/stream", "/v1/api/signal"),
            ("/docs", "/"),
            ("/v1/api/signals", "/v1/api/signal"),
        ] {
            assert_eq!(checked(path, base), Ok(()), "{path} {base}");
        }
        for (path, base) in [
            ("/v1/api/signal", "/v1/api/signal"),
            ("/v1/api/signal/notifications", "/v1/api/signal"),
            ("/v1/api/signal/socket/websocket/clients", "/v1/api/signal"),
            ("/doc", "/"),
        ] {
            let error = checked(path, base).expect_err(path).to_string();
            assert!(error.contains("SIGNAL_STREAM_PATH") && error.contains(path), "{error}");
        }
    }

    #[test]
    fn values_that_could_not_work_are_refused() {
        assert_eq!(stream_path("/stream/"), Ok("/stream".to_owned()));
        assert!(stream_path("/").is_err());
        assert!(stream_path("stream").is_err());
        assert!(joinable_rooms("orders, desk/{userId}/*").is_ok());
        assert!(joinable_rooms("orders, desk/{userId}*").unwrap_err().contains("desk/{userId}/*"));
        for text in ["desk/{userid}", "{ userId }", "a}", "{user}/*"] {
            assert!(joinable_rooms(text).unwrap_err().contains("{userId}"), "{text}");
        }
        for text in ["orders/*/open", "**", "orders, *x"] {
            assert!(joinable_rooms(text).unwrap_err().contains("at the end"), "{text}");
        }
    }
}

//! Groups of settings that more than one binary has; flatten what applies.

use std::{net::SocketAddr, time::Duration};

use super::{AllowedOrigins, values};
use crate::secret::Secret;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpSettings {
    /// Where clients and sister services reach this process.
    #[arg(long, env = "SIGNAL_HTTP_ADDR", value_name = "ADDR", default_value = "0.0.0.0:3000")]
    pub http_addr: SocketAddr,

    /// Where operators do: /metrics, /health/live, /health/ready, /health/serving. Not to be published.
    #[arg(long, env = "SIGNAL_ADMIN_ADDR", value_name = "ADDR", default_value = "0.0.0.0:9090")]
    pub admin_addr: SocketAddr,

    /// Path prefix of the REST API.
    #[arg(long, env = "SIGNAL_BASE_PATH", value_name = "PATH", default_value = "/v1/api/signal", value_parser = values::url_path)]
    pub base_path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SIGNAL_ADMIN_ADDR is {admin}, where SIGNAL_HTTP_ADDR ({http}) is already")]
pub struct SameAddress {
    http: SocketAddr,
    admin: SocketAddr,
}

impl HttpSettings {
    /// # Errors
    /// If operators' routes would be where everybody's are.
    pub fn check(&self) -> Result<(), SameAddress> {
        check_addresses(self.http_addr, self.admin_addr)
    }
}

/// # Errors
/// If the two listeners can't both have what they ask for.
pub fn check_addresses(http: SocketAddr, admin: SocketAddr) -> Result<(), SameAddress> {
    let same_port = http.port() == admin.port() && http.port() != 0;
    let overlap = http.ip() == admin.ip() || http.ip().is_unspecified() || admin.ip().is_unspecified();
    if same_port && overlap { Err(SameAddress { http, admin }) } else { Ok(()) }
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct CorsSettings {
    /// Web origins whose pages may use the REST API and open WebSockets, separated by commas;
    /// `https://*.example.com` stands for the direct subdomains, `*` for every origin.
    #[arg(long, env = "SIGNAL_ALLOWED_ORIGINS", value_name = "ORIGINS", default_value = "*")]
    pub allowed_origins: AllowedOrigins,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// What is logged: a level, or directives such as `info,signal_edge=debug`.
    #[arg(long, env = "SIGNAL_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How: one JSON object a line, or for people.
    #[arg(long, env = "SIGNAL_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Json,
    Pretty,
}

/// Traces, under the names that OpenTelemetry's specification gives to its variables.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceSettings {
    /// Base URL of a collector that takes OTLP over HTTP, such as http://localhost:4318; unset: no traces.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = values::collector_url)]
    pub otlp_endpoint: Option<String>,

    /// Headers for it, `name=value`, separated by commas.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_name = "HEADERS", hide_env_values = true)]
    pub otlp_headers: Option<Secret>,

    /// What this process is called in traces; its binary's name if unset.
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,

    /// Further attributes of the process in traces, `name=value`, separated by commas, values percent-encoded.
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "ATTRIBUTES")]
    pub otel_resource_attributes: Option<String>,

    /// The share of traces that are recorded, from 0 to 1; a trace that began elsewhere is as its beginning decided.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value = "1", value_parser = values::ratio)]
    pub otel_traces_ratio: f64,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Backplane")]
pub struct BackplaneSettings {
    /// Redis that sister services publish to: `redis://[user:password@]host[:port][/db]`,
    /// `redis-cluster://host,host[?pubsub=sharded]` or `redis-sentinel://host,host/master`, with `rediss` for TLS,
    /// which trusts the system's roots or those in the file that SSL_CERT_FILE names. With `pubsub=sharded` services
    /// publish by SPUBLISH. Behind a space: the address of another backplane that edges also hear, while a fleet moves.
    #[arg(long, env = "SIGNAL_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<Secret>,

    /// NATS that sister services publish to, instead of Redis:
    /// `nats://[user:password@|token@]host[:port],host[:port]`, with `tls` for TLS, which trusts the same roots.
    #[arg(long, env = "SIGNAL_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<Secret>,
}

impl BackplaneSettings {
    /// Whether any address is set.
    pub fn is_set(&self) -> bool {
        self.redis_url.is_some() || self.nats_url.is_some()
    }
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// The platform's database, as postgres:// or sqlite:// URL.
    #[arg(long, env = "SIGNAL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Shutdown")]
pub struct ShutdownSettings {
    /// How long a stop may take before what is left is abandoned.
    #[arg(long, env = "SIGNAL_SHUTDOWN_DEADLINE", value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub shutdown_deadline: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_have_two_addresses() {
        let checked = |http: &str, admin: &str| check_addresses(http.parse().unwrap(), admin.parse().unwrap());
        for (http, admin) in
            [("0.0.0.0:3000", "0.0.0.0:9090"), ("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:3000", "127.0.0.2:3000")]
        {
            assert_eq!(checked(http, admin), Ok(()), "{http} {admin}");
        }
        for (http, admin) in [("0.0.0.0:3000", "0.0.0.0:3000"), ("0.0.0.0:3000", "127.0.0.1:3000")] {
            let error = checked(http, admin).unwrap_err().to_string();
            assert!(error.contains("SIGNAL_ADMIN_ADDR") && error.contains("SIGNAL_HTTP_ADDR"), "{error}");
        }
    }
}

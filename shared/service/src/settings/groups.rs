//! Groups of settings that more than one binary has; flatten what applies.

use std::{net::SocketAddr, time::Duration};

use super::values;
use crate::secret::Secret;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpSettings {
    /// Where clients and sister services reach this process.
    #[arg(long, env = "SIGNAL_HTTP_ADDR", value_name = "ADDR", default_value = "0.0.0.0:3000")]
    pub http_addr: SocketAddr,

    /// Where operators do: /metrics, /health/live, /health/ready. Not to be published.
    #[arg(long, env = "SIGNAL_ADMIN_ADDR", value_name = "ADDR", default_value = "0.0.0.0:9090")]
    pub admin_addr: SocketAddr,

    /// Path prefix of the REST API.
    #[arg(long, env = "SIGNAL_BASE_PATH", value_name = "PATH", default_value = "/v1/api/signal", value_parser = values::url_path)]
    pub base_path: String,
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

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Backplane")]
pub struct BackplaneSettings {
    /// Redis that sister services publish to: `redis://[user:password@]host[:port][/db]`,
    /// `redis-cluster://host,host` or `redis-sentinel://host,host/master`, with `rediss` for TLS, which trusts
    /// the system's roots or those in the file that SSL_CERT_FILE names.
    #[arg(long, env = "SIGNAL_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<Secret>,
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

//! What can be set: its own settings, then those of edge and worker as they are.

use std::{net::SocketAddr, path::PathBuf};

use signal_auth::{AuthSettings, PermissionSettings};
use signal_edge::{StreamSettings, TakenPath};
use signal_service::{
    health::probe::Question,
    settings::{BackplaneSettings, DatabaseSettings, LogFormat, LogSettings, ShutdownSettings, TraceSettings, values},
};
use signal_worker::config::PipelineSettings;

/// Signal in one process, for development and for trying it out.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "signal", version)]
pub struct Settings {
    #[command(flatten)]
    pub own: OwnSettings,
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
    pub pipeline: PipelineSettings,
    #[command(flatten)]
    pub traces: TraceSettings,
    #[command(flatten)]
    pub shutdown: ShutdownSettings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is particular to this binary, or has another default here.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "This process")]
pub struct OwnSettings {
    /// Where clients reach this process.
    #[arg(long, env = "SIGNAL_HTTP_ADDR", value_name = "ADDR", default_value = "127.0.0.1:31090")]
    pub http_addr: SocketAddr,

    /// Where operators do: /metrics, /health/live, /health/ready, /health/serving.
    #[arg(long, env = "SIGNAL_ADMIN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:31091")]
    pub admin_addr: SocketAddr,

    /// Path prefix of the REST API.
    #[arg(long, env = "SIGNAL_BASE_PATH", value_name = "PATH", default_value = "/v1/api/signal", value_parser = values::url_path)]
    pub base_path: String,

    /// Folder of the embedded parts: database, issuer's key.
    #[arg(long, env = "SIGNAL_DATA_DIR", value_name = "DIR", default_value = ".signal")]
    pub data_dir: PathBuf,

    /// Listen beyond this machine although the demo signs anybody in as anybody.
    #[arg(long)]
    pub allow_remote: bool,

    /// What is logged: a level, or directives such as `info,signal_edge=debug`.
    #[arg(long, env = "SIGNAL_LOG", value_name = "FILTER", default_value = "warn")]
    pub log: String,

    /// How: one JSON object a line, or for people.
    #[arg(long, env = "SIGNAL_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Checks settings, also for variables that nobody knows, and exits.
    CheckConfig,
    /// Serves the page, the development issuer and the payment form alone, for an edge and a worker that are processes of
    /// their own behind the same origin. Needs SIGNAL_KAFKA_BROKERS.
    Demo,
    /// Puts the demo's people into the database at SIGNAL_DATABASE_URL, whose tables must be there, and exits. Safe to
    /// repeat.
    SeedPeople,
    /// Asks the process that has the same settings whether it is ready, and exits within a second: with 0 if it is.
    Health(Question),
    /// Prints docs/configuration.md.
    #[command(hide = true)]
    ConfigReference {
        /// What the two binaries of a deployment know, as data.
        #[arg(long)]
        json: bool,
    },
    /// Prints docs/openapi.json.
    #[command(hide = true)]
    Openapi,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{variable} is {addr}, which other machines can reach, and the demo signs anybody in as anybody. \
     Use 127.0.0.1, or pass --allow-remote if that is what you want"
)]
pub struct NotLoopback {
    variable: &'static str,
    addr: SocketAddr,
}

/// What the demo answers, each with all that is below it.
const DEMO_PATHS: [&str; 3] = ["/demo", "/assets", "/.well-known"];

impl Settings {
    /// # Errors
    /// If the stream is where the page, the demo's API or the REST API is.
    pub fn check_stream_path(&self) -> Result<(), TakenPath> {
        self.stream.check_path(&self.own.base_path, &DEMO_PATHS)
    }
}

impl OwnSettings {
    pub fn log_settings(&self) -> LogSettings {
        LogSettings { log: self.log.clone(), log_format: self.log_format }
    }

    /// # Errors
    /// If an address is reachable from elsewhere and nobody said that it may be.
    pub fn check_reach(&self) -> Result<(), NotLoopback> {
        let addresses = [("SIGNAL_HTTP_ADDR", self.http_addr), ("SIGNAL_ADMIN_ADDR", self.admin_addr)];
        match addresses.into_iter().find(|(_, addr)| !addr.ip().is_loopback()) {
            Some((variable, addr)) if !self.allow_remote => Err(NotLoopback { variable, addr }),
            _ => Ok(()),
        }
    }
}

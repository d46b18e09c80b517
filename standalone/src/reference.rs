//! `docs/configuration.md`, and the same as data, made from the commands themselves.

use std::time::Duration;

use clap::CommandFactory;
use serde_json::json;
use signal_edge::{EdgeSettings, drain};
use signal_service::settings::reference;
use signal_worker::config::Cli as Worker;

use crate::config::Settings;

const INTRODUCTION: &str = "\
# Configuration

Every setting is a flag and a variable; a flag wins over its variable, and a variable that is set to nothing counts as \
not set. Durations are written `500ms`, `30s`, `5m`, `12h`, sizes `64KiB`, `1MiB`. `--help` of each binary says the \
same as this page, which is generated from it (`signal config-reference`).

A `SIGNAL_` variable that the binary does not know fails `check-config` and is warned of at start. Secrets never print.
";

/// The edge's command, whose own type is its binary's affair.
#[derive(clap::Parser)]
#[command(name = "signal-edge")]
struct Edge {
    #[command(flatten)]
    _settings: EdgeSettings,
}

/// The whole document.
pub fn document() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (command, what) in [
        (Edge::command(), "The edge: encrypted WebSockets and the client-management API."),
        (Worker::command(), "The worker: events from Kafka become rows and pushes, which people read over REST."),
        (Settings::command(), "Both in one process, with embedded parts for what is not set."),
    ] {
        out += &format!("\n## `{}`\n\n{what}\n\n{}", command.get_name(), reference::markdown(&command));
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// What a chart has to know of the binaries of a deployment, as JSON: the variables of each, and how a stop is divided.
pub fn data() -> String {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "drain": { "window": seconds(drain::WINDOW), "reserve": seconds(drain::RESERVE) },
        "edge": reference::variables(&Edge::command()),
        "worker": reference::variables(&Worker::command()),
    });
    format!("{data:#}")
}

//! A command's variables as data, for what has to check them without the binary: the Helm chart's schema.

use std::{any::TypeId, time::Duration};

use clap::{Arg, Command};
use serde::Serialize;

use super::inject;

/// One variable of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    pub name: String,
    pub kind: Kind,
    /// Its value never prints, and belongs into no file that others read.
    pub secret: bool,
    /// As it would be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// All values that there are, for a [`Kind::Choice`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    pub meaning: String,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Choice,
    /// `500ms`, `1m30s`, `0`
    Duration,
    /// `512`, `64KiB`
    Size,
    /// Zero or above.
    Integer,
    Number,
    Switch,
    Url,
    Path,
    Text,
}

/// The variables of the command itself, in the order of its help; those of subcommands are theirs.
pub fn variables(command: &Command) -> Vec<Variable> {
    command.get_arguments().filter_map(variable).collect()
}

fn variable(arg: &Arg) -> Option<Variable> {
    let name = inject::variable(arg)?.to_owned();
    let kind = kind(arg);
    let values = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    Some(Variable {
        name,
        kind,
        secret: arg.is_hide_env_values_set(),
        default: Some(defaults.join(",")).filter(|default| !default.is_empty() && inject::takes_value(arg)),
        values: if kind == Kind::Choice { values } else { Vec::new() },
        meaning: arg.get_help().map(|help| help.to_string().replace('\n', " ")).unwrap_or_default(),
    })
}

fn kind(arg: &Arg) -> Kind {
    let value_name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    let parsed = arg.get_value_parser().type_id();
    let integers =
        [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>(), TypeId::of::<i64>()];
    match value_name {
        _ if !inject::takes_value(arg) => Kind::Switch,
        _ if !arg.get_possible_values().is_empty() => Kind::Choice,
        _ if parsed == TypeId::of::<Duration>() => Kind::Duration,
        // Both are numbers once they are read.
        Some("SIZE") => Kind::Size,
        _ if integers.iter().any(|integer| parsed == *integer) => Kind::Integer,
        _ if parsed == TypeId::of::<f64>() => Kind::Number,
        Some("URL") => Kind::Url,
        Some("PATH") => Kind::Path,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::settings::{HttpSettings, LogSettings, ShutdownSettings, TraceSettings, values};

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        _http: HttpSettings,
        #[command(flatten)]
        _log: LogSettings,
        #[command(flatten)]
        _traces: TraceSettings,
        #[command(flatten)]
        _shutdown: ShutdownSettings,
        #[arg(long, env = "SIGNAL_LIMIT", value_name = "SIZE", value_parser = values::byte_size)]
        _limit: Option<usize>,
        #[arg(long, env = "SIGNAL_COUNT", default_value_t = 3)]
        _count: u16,
        #[arg(long, env = "SIGNAL_SWITCH")]
        _switch: bool,
        #[arg(long)]
        _flag_alone: Option<String>,
    }

    #[test]
    fn each_variable_says_how_it_is_written() {
        let found = variables(&Settings::command());
        let of = |name: &str| found.iter().find(|variable| variable.name == name).unwrap();
        for (name, kind, default) in [
            ("SIGNAL_BASE_PATH", Kind::Path, Some("/v1/api/signal")),
            ("SIGNAL_LOG_FORMAT", Kind::Choice, Some("json")),
            ("SIGNAL_SHUTDOWN_DEADLINE", Kind::Duration, Some("30s")),
            ("SIGNAL_LIMIT", Kind::Size, None),
            ("SIGNAL_COUNT", Kind::Integer, Some("3")),
            ("SIGNAL_SWITCH", Kind::Switch, None),
            ("OTEL_TRACES_SAMPLER_ARG", Kind::Number, Some("1")),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", Kind::Url, None),
            ("SIGNAL_LOG", Kind::Text, Some("info")),
        ] {
            assert_eq!((of(name).kind, of(name).default.as_deref()), (kind, default), "{name}");
        }
        assert_eq!(of("SIGNAL_LOG_FORMAT").values, ["json", "pretty"]);
        let secrets: Vec<_> = found.iter().filter(|variable| variable.secret).map(|variable| &*variable.name).collect();
        assert_eq!(secrets, ["OTEL_EXPORTER_OTLP_HEADERS"]);
        assert_eq!(found.len(), 14, "a flag without a variable is none: {found:#?}");
    }
}

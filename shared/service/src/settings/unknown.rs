//! `SIGNAL_*` variables that nothing reads: usually a typing error, found at start.

use std::{collections::BTreeSet, fmt};

use clap::Command;

use super::{Source, inject};

const PREFIX: &str = "SIGNAL_";

/// A variable that nobody knows, and the known name that it resembles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    pub name: String,
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a setting", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, " (did you mean {nearest}?)"),
            None => Ok(()),
        }
    }
}

/// The `SIGNAL_*` variables in `source` that no argument of `command` or of its
/// subcommands reads.
///
/// Left out are those that Kubernetes puts into every pod for a Service whose name
/// begins with `signal-`, such as `SIGNAL_EDGE_PORT_3000_TCP_ADDR`.
pub fn unknown_variables(command: &Command, source: &Source) -> Vec<UnknownVariable> {
    let mut known = BTreeSet::new();
    collect(command, &mut known);
    source
        .names()
        .filter(|name| name.starts_with(PREFIX) && !known.contains(*name) && !is_service_link(name, source))
        .map(|name| UnknownVariable { name: name.to_owned(), nearest: nearest(name, &known) })
        .collect()
}

/// `SIGNAL_A is not a setting (did you mean SIGNAL_B?); SIGNAL_C is not a setting`.
///
/// # Errors
/// If there is any.
pub fn refuse_unknown(command: &Command, source: &Source) -> Result<(), UnknownVariables> {
    let unknown = unknown_variables(command, source);
    if unknown.is_empty() { Ok(()) } else { Err(UnknownVariables(unknown)) }
}

/// All that nobody knows, each with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariables(Vec<UnknownVariable>);

impl std::error::Error for UnknownVariables {}

impl fmt::Display for UnknownVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(variables) = self;
        f.write_str(&variables.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

/// Logs each of them once, as a warning.
pub fn warn_unknown(command: &Command, source: &Source) {
    for variable in unknown_variables(command, source) {
        tracing::warn!(variable = variable.name, nearest = variable.nearest, "variable is not a setting");
    }
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    known.extend(command.get_arguments().filter_map(inject::variable).map(str::to_owned));
    for sub in command.get_subcommands() {
        collect(sub, known);
    }
}

fn is_service_link(name: &str, source: &Source) -> bool {
    source.names().filter_map(|host| host.strip_suffix("_SERVICE_HOST")).any(|service| {
        let rest = name.strip_prefix(service);
        rest.is_some_and(|rest| rest.starts_with("_SERVICE_") || rest == "_PORT" || rest.starts_with("_PORT_"))
    })
}

fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    // The shared prefix would make everything look alike.
    let own = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let known: Vec<_> = known.iter().map(|candidate| (own(candidate), candidate)).collect();
    let nearest = resembling(&own(name), known.iter().map(|(own, _)| own.as_str()))?;
    known.iter().find(|(own, _)| own == nearest).map(|(_, candidate)| (*candidate).clone())
}

/// The one that `name` resembles most, if it does.
pub(super) fn resembling<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let (score, candidate) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= 0.85).then_some(candidate)
}

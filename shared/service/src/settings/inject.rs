//! Feeding an injected environment to clap, which knows only the process's own.

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, Error, ErrorKind},
};

use super::Source;

/// The command with each variable's value as its argument's default, and with clap's own
/// reading of the environment taken out.
pub(super) fn environment(command: Command, source: &Source) -> Command {
    each_argument(command, &|arg| {
        let value = variable(&arg).and_then(|name| source.get(name)).map(str::to_owned);
        let arg = arg.env(None::<&str>);
        match value {
            None => arg,
            Some(value) => {
                let value = if takes_value(&arg) { value } else { switch(&value) };
                arg.default_value(value).required(false)
            }
        }
    })
}

/// The command as its help should show it: names of variables, never their values.
pub(super) fn without_values(command: Command) -> Command {
    each_argument(command, &|arg| arg.hide_env_values(true))
}

pub(super) fn variable(arg: &Arg) -> Option<&str> {
    arg.get_env().and_then(|name| name.to_str())
}

pub(super) fn takes_value(arg: &Arg) -> bool {
    !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count)
}

fn each_argument(command: Command, change: &dyn Fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|sub| each_argument(sub, change))
}

/// What people write for a switch, in the two words that clap knows.
fn switch(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "on" => "true".to_owned(),
        "0" | "no" | "off" => "false".to_owned(),
        other => other.to_owned(),
    }
}

/// An error in the terms of whoever set the value: the variable, or the flag.
pub(super) fn explain(error: &Error, command: &Command, source: &Source) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg).and_then(|shown| find(command, shown));
    match (error.kind(), arg) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(arg)) => {
            let given = text(ContextKind::InvalidValue).unwrap_or_default();
            let origin = origin(&arg, given, source);
            if arg.is_hide_env_values_set() {
                // The parser's own words may quote it.
                return format!("{origin}: invalid value (not shown: it is a secret)");
            }
            let reason = match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
                (Some(reason), _) => reason.to_string(),
                (None, Some(ContextValue::Strings(values))) => format!("possible values: {}", values.join(", ")),
                _ => "it needs a value".to_owned(),
            };
            format!("{origin}: invalid value `{given}`: {reason}")
        }
        (ErrorKind::MissingRequiredArgument, _) => {
            let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
                return clap_message(error);
            };
            let named =
                missing.iter().map(|shown| find(command, shown).map_or_else(|| shown.clone(), |arg| both(&arg)));
            format!("not set: {}", named.collect::<Vec<_>>().join(", "))
        }
        _ => clap_message(error),
    }
}

fn clap_message(error: &Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

fn find(command: &Command, shown: &str) -> Option<Arg> {
    let mut built = command.clone();
    built.build();
    let here = built.get_arguments().find(|arg| arg.to_string() == shown).cloned();
    here.or_else(|| built.get_subcommands().find_map(|sub| find(sub, shown)))
}

fn origin(arg: &Arg, given: &str, source: &Source) -> String {
    match variable(arg) {
        // A value of a list is a part of what the variable holds.
        Some(name) if source.get(name).is_some_and(|value| value.contains(given)) => name.to_owned(),
        _ => both(arg),
    }
}

fn both(arg: &Arg) -> String {
    let flag = arg.get_long().map_or_else(|| arg.get_id().to_string(), |long| format!("--{long}"));
    match variable(arg) {
        Some(name) => format!("{flag} (or {name})"),
        None => flag,
    }
}

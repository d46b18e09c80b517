//! The reference of a command's settings, from the command itself: as Markdown for people, as data for programs.

mod variables;

use std::fmt::Write;

use clap::{Arg, Command};

pub use self::variables::{Kind, Variable, variables};
use super::inject;

/// One table per help heading, then the subcommands that are not hidden.
pub fn markdown(command: &Command) -> String {
    let mut out = String::new();
    section(&mut out, command, command.get_name(), 3);
    out
}

fn section(out: &mut String, command: &Command, path: &str, level: usize) {
    let shown = |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    let args: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &args {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        let title = heading.unwrap_or("Options");
        // Writing to a String cannot fail.
        let _ = write!(out, "{} {title}\n\n", "#".repeat(level));
        out.push_str("| variable | flag | default | meaning |\n|---|---|---|---|\n");
        for arg in args.iter().filter(|arg| arg.get_help_heading() == heading) {
            row(out, arg);
        }
        out.push('\n');
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let path = format!("{path} {}", sub.get_name());
        let _ = write!(out, "{} `{path}`\n\n{about}\n\n", "#".repeat(level));
        section(out, sub, &path, level + 1);
    }
}

fn row(out: &mut String, arg: &Arg) {
    let code = |text: String| if text.is_empty() { "–".to_owned() } else { format!("`{text}`") };
    let variable = inject::variable(arg).unwrap_or_default().to_owned();
    let value = arg.get_value_names().filter(|_| inject::takes_value(arg)).map(|names| names.join(" "));
    let flag = match (arg.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long} <{value}>"),
        (Some(long), None) => format!("--{long}"),
        (None, value) => format!("<{}>", value.unwrap_or_else(|| arg.get_id().to_string())),
    };
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if inject::takes_value(arg) { defaults.join(",") } else { String::new() };
    let mut meaning =
        arg.get_help().map(|help| help.to_string().replace('|', "\\|").replace('\n', " ")).unwrap_or_default();
    let values: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if inject::takes_value(arg) && !values.is_empty() {
        let _ = write!(meaning, " ({})", values.join(", "));
    }
    let _ = writeln!(out, "| {} | {} | {} | {meaning} |", code(variable), code(flag), code(default));
}

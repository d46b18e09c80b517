//! Settings: flags with environment twins, read from an injected [`Source`].
//!
//! A binary declares its settings as one clap struct, made of the small groups in
//! [`groups`] and its own, each argument with `env = "SIGNAL_…"`. [`parse`] takes the
//! command line and the environment as values, so that a test passes its own. A flag wins
//! over its variable; a variable that is set to nothing counts as not set.

pub mod database_url;
pub mod endpoint;
pub mod groups;
mod inject;
mod origins;
pub mod reference;
pub mod unknown;
pub mod values;

use std::{collections::BTreeMap, ffi::OsString};

use clap::{CommandFactory, FromArgMatches, error::ErrorKind};

pub use self::{
    groups::{
        BackplaneSettings, CorsSettings, DatabaseSettings, HttpSettings, LogFormat, LogSettings, ShutdownSettings,
        TraceSettings,
    },
    origins::AllowedOrigins,
    unknown::{UnknownVariable, unknown_variables},
};

/// The environment that settings are read from.
#[derive(Clone, Default)]
pub struct Source(BTreeMap<String, String>);

impl Source {
    /// The process environment; for `main` alone. What is not UTF-8 is not there.
    pub fn process() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of a variable, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same environment with one more variable, or another value of it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Source {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Help or version was asked for: this is it, for standard output.
    #[error("{0}")]
    Shown(String),
    /// For standard error; names the variable as well as the flag, and never a secret.
    #[error("{0}")]
    Invalid(String),
}

impl SettingsError {
    /// The exit status that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Shown(_) => 0,
            Self::Invalid(_) => 2,
        }
    }

    /// Prints it where it belongs and gives `main` its exit status.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line's answer")]
    pub fn report(&self) -> std::process::ExitCode {
        match self {
            Self::Shown(text) => print!("{text}"),
            Self::Invalid(text) => eprintln!("error: {text}"),
        }
        self.exit_code().into()
    }
}

/// Reads `T` from a command line (with the program's name first) and an environment.
///
/// # Errors
/// [`SettingsError::Shown`] for `--help` and `--version`, else [`SettingsError::Invalid`].
pub fn parse<T>(args: impl IntoIterator<Item = impl Into<OsString>>, source: &Source) -> Result<T, SettingsError>
where
    T: CommandFactory + FromArgMatches,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut command = inject::environment(T::command(), source);
    command.build();
    let matches = command.clone().try_get_matches_from(&args);
    let error = match matches.and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(settings) => return Ok(settings),
        Err(error) => error,
    };
    match error.kind() {
        // The injected command would show the environment's values as defaults.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let shown = inject::without_values(T::command()).try_get_matches_from(&args).err();
            Err(SettingsError::Shown(shown.unwrap_or(error).to_string()))
        }
        _ => Err(SettingsError::Invalid(inject::explain(&error, &T::command(), source))),
    }
}

#[cfg(test)]
mod tests;

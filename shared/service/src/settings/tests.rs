use std::net::SocketAddr;

use clap::{CommandFactory, Parser, Subcommand};

use super::{unknown::unknown_variables, *};
use crate::Secret;

#[derive(Debug, Parser)]
#[command(name = "demo", version = "1.2.3")]
struct Settings {
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    log: LogSettings,
    #[command(flatten)]
    shutdown: ShutdownSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    /// A port, kept secret to see that it is.
    #[arg(long, env = "SIGNAL_PIN", hide_env_values = true)]
    pin: Option<u16>,
    #[arg(long, env = "SIGNAL_SWITCH")]
    switch: bool,
    #[arg(long, env = "SIGNAL_LIST", value_delimiter = ',')]
    list: Vec<String>,
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Moves rows.
    Migrate {
        #[arg(long, env = "SIGNAL_ROWS")]
        rows: u32,
    },
}

fn read(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    parse(std::iter::once(&"demo").chain(args), &env.iter().copied().collect())
}

fn invalid(args: &[&str], env: &[(&str, &str)]) -> String {
    match read(args, env).unwrap_err() {
        SettingsError::Invalid(text) => text,
        SettingsError::Shown(text) => panic!("shown: {text}"),
    }
}

#[test]
fn defaults_then_variables_then_flags() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.http.http_addr, "0.0.0.0:3000".parse::<SocketAddr>().unwrap());
    assert_eq!(settings.shutdown.shutdown_deadline.as_secs(), 30);
    assert!(settings.database.database_url.is_none());

    let env = [("SIGNAL_HTTP_ADDR", "127.0.0.1:1"), ("SIGNAL_SHUTDOWN_DEADLINE", "5s"), ("SIGNAL_LIST", "a,b")];
    let settings = read(&["--http-addr", "127.0.0.1:2"], &env).unwrap();
    assert_eq!(settings.http.http_addr.port(), 2);
    assert_eq!(settings.shutdown.shutdown_deadline.as_secs(), 5);
    assert_eq!(settings.list, ["a", "b"]);
}

#[test]
fn an_empty_variable_is_not_set() {
    let settings = read(&[], &[("SIGNAL_HTTP_ADDR", ""), ("SIGNAL_DATABASE_URL", "")]).unwrap();
    assert_eq!(settings.http.http_addr.port(), 3000);
    assert!(settings.database.database_url.is_none());
}

#[test]
fn switches_take_the_words_people_write() {
    for (value, on) in [("1", true), ("true", true), ("YES", true), ("0", false), ("off", false), ("", false)] {
        assert_eq!(read(&[], &[("SIGNAL_SWITCH", value)]).unwrap().switch, on, "{value}");
    }
    assert!(invalid(&[], &[("SIGNAL_SWITCH", "perhaps")]).contains("SIGNAL_SWITCH"));
}

#[test]
fn the_process_environment_is_not_read() {
    #[derive(Debug, Parser)]
    struct Ambient {
        // Set in every process that runs this test.
        #[arg(long, env = "PATH")]
        path: Option<String>,
    }
    assert!(std::env::vars_os().any(|(name, _)| name == "PATH"));
    let settings: Ambient = parse(["demo"], &Source::default()).unwrap();
    assert_eq!(settings.path, None);
}

#[test]
fn an_error_names_what_was_set_wrong() {
    let text = invalid(&[], &[("SIGNAL_HTTP_ADDR", "nowhere")]);
    assert_eq!(text, "SIGNAL_HTTP_ADDR: invalid value `nowhere`: invalid socket address syntax");
    let text = invalid(&["--http-addr", "nowhere"], &[]);
    assert!(text.starts_with("--http-addr (or SIGNAL_HTTP_ADDR): invalid value `nowhere`"), "{text}");
    let text = invalid(&[], &[("SIGNAL_LOG_FORMAT", "xml")]);
    assert_eq!(text, "SIGNAL_LOG_FORMAT: invalid value `xml`: possible values: json, pretty");
    assert_eq!(invalid(&["migrate"], &[]), "not set: --rows (or SIGNAL_ROWS)");
    assert!(invalid(&["--nonsense"], &[]).contains("--nonsense"));
}

#[test]
fn subcommands_read_their_variables() {
    let settings = read(&["migrate"], &[("SIGNAL_ROWS", "7")]).unwrap();
    assert!(matches!(settings.command, Some(Sub::Migrate { rows: 7 })));
    let text = invalid(&["migrate"], &[("SIGNAL_ROWS", "many")]);
    assert!(text.starts_with("SIGNAL_ROWS: invalid value `many`"), "{text}");
}

#[test]
fn secrets_never_print() {
    let env = [("SIGNAL_DATABASE_URL", "postgres://u:hunter2@db/s"), ("SIGNAL_PIN", "98765432")];
    let text = invalid(&[], &env);
    assert!(text.starts_with("SIGNAL_PIN: invalid value (") && !text.contains("98765432"), "{text}");

    let settings = read(&[], &env[..1]).unwrap();
    assert_eq!(settings.database.database_url.as_ref().map(Secret::expose), Some("postgres://u:hunter2@db/s"));
    let source: Source = env.into_iter().collect();
    for output in [format!("{settings:?}"), format!("{source:?}"), shown(&["--help"], &env)] {
        assert!(!output.contains("hunter2"), "{output}");
    }
}

fn shown(args: &[&str], env: &[(&str, &str)]) -> String {
    match read(args, env).unwrap_err() {
        SettingsError::Shown(text) => text,
        SettingsError::Invalid(text) => panic!("invalid: {text}"),
    }
}

#[test]
fn help_names_variables_and_shows_defaults_not_values() {
    let text = shown(&["--help"], &[("SIGNAL_HTTP_ADDR", "127.0.0.1:4444")]);
    assert!(text.contains("SIGNAL_HTTP_ADDR") && text.contains("0.0.0.0:3000") && !text.contains("4444"), "{text}");
    assert!(shown(&["--version"], &[]).contains("1.2.3"));
}

#[test]
fn unknown_variables_are_found_with_what_they_resemble() {
    let source: Source = ["SIGNAL_HTTP_ADR", "SIGNAL_ZZZ", "SIGNAL_ROWS", "SIGNAL_LOG", "HOME"]
        .map(|name| (name, "x"))
        .into_iter()
        .collect();
    let found = unknown_variables(&Settings::command(), &source);
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["SIGNAL_HTTP_ADR is not a setting (did you mean SIGNAL_HTTP_ADDR?)", "SIGNAL_ZZZ is not a setting"]
    );
}

#[test]
fn service_links_of_kubernetes_are_nobodys_typing_error() {
    let names = [
        "SIGNAL_EDGE_SERVICE_HOST",
        "SIGNAL_EDGE_SERVICE_PORT",
        "SIGNAL_EDGE_PORT",
        "SIGNAL_EDGE_PORT_3000_TCP_ADDR",
        "SIGNAL_EDGES",
    ];
    let source: Source = names.map(|name| (name, "x")).into_iter().collect();
    let found = unknown_variables(&Settings::command(), &source);
    assert_eq!(found.iter().map(|unknown| unknown.name.as_str()).collect::<Vec<_>>(), ["SIGNAL_EDGES"]);
}

#[test]
fn the_reference_has_a_row_for_every_setting() {
    let text = reference::markdown(&Settings::command());
    for row in [
        "| `SIGNAL_HTTP_ADDR` | `--http-addr <ADDR>` | `0.0.0.0:3000` |",
        "| `SIGNAL_LOG_FORMAT` | `--log-format <FORMAT>` | `json` |",
        "(`json`, `pretty`) |",
        "| `SIGNAL_SWITCH` | `--switch` | – |",
        "### HTTP",
        "### `demo migrate`",
        "| `SIGNAL_ROWS` | `--rows <ROWS>` | – |",
    ] {
        assert!(text.contains(row), "{row} in\n{text}");
    }
}

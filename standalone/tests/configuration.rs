//! The reference in `docs` and what the binaries say of themselves are one thing.

#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use signal_standalone::{openapi, reference};

#[test]
fn the_configuration_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference::document(),
        "docs/configuration.md is not what the settings say; run\n  \
         cargo run -p signal-standalone -- config-reference > docs/configuration.md"
    );
}

#[test]
fn the_openapi_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == openapi::document(),
        "docs/openapi.json is not what the handlers say; run\n  \
         cargo run -p signal-standalone -- openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json"
    );
}

#[test]
fn every_binary_is_in_it_with_its_own_settings() {
    let text = reference::document();
    for part in [
        "## `signal-edge`",
        "| `SIGNAL_STREAM_PATH` | `--stream-path <PATH>` | `/stream` |",
        "## `signal-worker`",
        "| `SIGNAL_KAFKA_BROKERS` |",
        "### `signal-worker migrate`",
        "## `signal`",
        "| `SIGNAL_HTTP_ADDR` | `--http-addr <ADDR>` | `127.0.0.1:31090` |",
        "| `SIGNAL_DATA_DIR` |",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// Whether `signal check-config` is content with the variables, and what it says.
fn check(variables: &[(&str, &str)]) -> (bool, String) {
    run("check-config", variables)
}

fn run(subcommand: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signal"));
    let output = command.arg(subcommand).env_clear().envs(variables.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn settings_that_cannot_be_used_fail_the_check() {
    for (name, value, said) in [
        ("SIGNAL_REDIS_URL", "nonsense", "SIGNAL_REDIS_URL"),
        ("SIGNAL_NATS_URL", "redis://:hunter2@bus", "SIGNAL_NATS_URL"),
        ("SIGNAL_DATABASE_URL", "mysql://u:hunter2@db/x", "SIGNAL_DATABASE_URL"),
        ("SIGNAL_JWKS_URL", "hunter2", "SIGNAL_JWKS_URL"),
        ("SIGNAL_KAFKA_PROPERTIES", "hunter2", "SIGNAL_KAFKA_PROPERTIES"),
        ("SIGNAL_KAFKA_PROPERTIES", "sasl.passwort=hunter2", "sasl.passwort"),
        ("SIGNAL_LOG", "foo=bar=baz", "SIGNAL_LOG"),
        ("SIGNAL_LOG", "inof", "inof is no level"),
        ("SIGNAL_STREAM_PATH", "/", "must not be the root"),
        ("SIGNAL_STREAM_PATH", "/demo/stream", "SIGNAL_STREAM_PATH is /demo/stream, "),
        ("SIGNAL_STREAM_PATH", "/v1/api/signal", "SIGNAL_BASE_PATH"),
        ("SIGNAL_HTTP_ADDR", "0.0.0.0:1", "--allow-remote"),
        ("SIGNAL_ADMIN_ADDR", "127.0.0.1:31090", "SIGNAL_ADMIN_ADDR is 127.0.0.1:31090"),
        ("SIGNAL_DATABASE_URL", "postgres://u:hunter2@db/x?sslmod=require", "did you mean sslmode?"),
        ("SIGNAL_KAFKA_BROKERS", "http://kafka:9092", "host 1"),
        ("SIGNAL_KAFKA_PROPERTIES", "client.id=a,client.id=hunter2", "`client.id` is there twice"),
        ("SIGNAL_MERCHANT_DOMAIN", "Organizer_{id}", "SIGNAL_ORGANIZER_DOMAIN"),
        ("SIGNAL_REDIS_URL", "redis://:hunter2@a redis://:hunter2@a/1", "heard twice"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318/v1/traces", "/v1/traces is added"),
        ("SIGNAL_MAX_CONNECTIONS", "0", "SIGNAL_MAX_CONNECTIONS"),
        ("SIGNAL_AUTHENTICATION_TIMEOUT", "0s", "must not be zero"),
        ("SIGNAL_JOINABLE_ROOMS", "orders/*/open", "at the end alone"),
        ("SIGNAL_REDIS_URI", "x", "SIGNAL_REDIS_URL"),
        ("SIGNAL_NATS_URI", "x", "SIGNAL_NATS_URL"),
    ] {
        let (content, message) = check(&[(name, value)]);
        assert!(!content && message.contains(said), "{name}={value}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn settings_that_can_be_used_pass_it_whether_or_not_anybody_is_there() {
    let real = [
        ("SIGNAL_REDIS_URL", "redis://u:p@127.0.0.1:1/2"),
        ("SIGNAL_DATABASE_URL", "postgres://u:p@127.0.0.1:1/x"),
        ("SIGNAL_JWKS_URL", "http://127.0.0.1:1/jwks"),
        ("SIGNAL_KAFKA_BROKERS", "127.0.0.1:1"),
        ("SIGNAL_KAFKA_PROPERTIES", "security.protocol=plaintext"),
        ("SIGNAL_STREAM_PATH", "/demonstration"),
        ("SIGNAL_LOG", "info,signal_edge=debug"),
    ];
    let mut on_nats = real;
    on_nats[0] = ("SIGNAL_NATS_URL", "nats://u:p@127.0.0.1:1,127.0.0.1:2");
    for variables in [&real[..], &on_nats[..], &[]] {
        let (content, message) = check(variables);
        assert!(content && message.contains("can be used"), "{message}");
    }
}

#[test]
fn a_subcommand_that_lacks_a_server_names_its_variable() {
    // Port 1 is nobody's.
    let nobody = ("SIGNAL_ADMIN_ADDR", "127.0.0.1:1");
    for (subcommand, variables, said) in [
        ("demo", &[][..], "SIGNAL_KAFKA_BROKERS is not set"),
        ("seed-people", &[], "SIGNAL_DATABASE_URL is not set"),
        ("seed-people", &[("SIGNAL_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")], "SIGNAL_DATABASE_URL"),
        ("health", &[nobody], "127.0.0.1:1 (SIGNAL_ADMIN_ADDR) does not answer"),
    ] {
        let (content, message) = run(subcommand, variables);
        assert!(!content && message.contains(said) && !message.contains("hunter2"), "{subcommand}: {message}");
    }
}

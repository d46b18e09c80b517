//! The reference in `docs` and what the binaries say of themselves are one thing.

use std::path::Path;

use signal_standalone::reference;

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

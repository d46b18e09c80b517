//! What clients should not say once they are somebody, in protocol v1. Each is answered and counted, and ends nothing.

/// Texts that are no messages, and seals that do not open.
pub fn all() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "null",
        "7",
        "\"text\"",
        "[]",
        "[{\"event\":\"join\"}]",
        "{",
        "{}{}",
        "{\"event\"}",
        "{'event':'join'}",
        "{\"event\":7}",
        "{\"event\":null}",
        "{\"event\":[\"join\"]}",
        "{\"event\":\"\\ud800\"}",
        "{\"event\":\"a\",\"data\":01}",
        "{\"event\":\"a\"} x",
        "\u{0}",
        "{\"event\":\"encrypted\"}",
        "{\"event\":\"encrypted\",\"data\":null}",
        "{\"event\":\"encrypted\",\"data\":{\"iv\":\"\",\"ct\":\"\"}}",
        "{\"event\":\"encrypted\",\"data\":{\"iv\":\"AAAAAAAAAAAAAAAA\",\"ct\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
        "{\"event\":\"encrypted\",\"data\":{\"iv\":7,\"ct\":8}}",
    ]
    .map(str::to_owned)
    .into();
    texts.push(format!("{{\"event\":{}", "[".repeat(20_000)));
    texts
}

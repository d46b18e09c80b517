//! What records brought, fit for a terminal. Anybody may have produced it: whatever would move the cursor, hide or reorder
//! what follows is written as an escape.

use std::fmt::Write;

/// Bytes that are not UTF-8 are written `\xff`, what can't be seen `\u{9b}`, a backslash twice.
pub(super) fn escaped(bytes: &[u8]) -> String {
    escape(bytes, true)
}

/// The same, but a backslash is left as it is: for what has escapes of its own.
pub(crate) fn visible(text: &str) -> String {
    escape(text.as_bytes(), false)
}

fn escape(bytes: &[u8], backslash: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => out.push(character),
                '\\' if !backslash => out.push(character),
                character => out.extend(character.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// At most so many characters; what is cut off leaves a `…`.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Sixteen bytes a line: where, in hexadecimal, and as ASCII.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let ascii: String = bytes.iter().map(shown).collect();
        let _ = writeln!(out, "{:08x}  {:<47}  {ascii}", line * 16, hex.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_would_obey_survives() {
        assert_eq!(escaped("Cà Phê \"79\" \u{1f600}".as_bytes()), "Cà Phê \"79\" \u{1f600}");
        assert_eq!(escaped(b"a\\b"), "a\\\\b");
        assert_eq!(visible("a\\b"), "a\\b");
        assert_eq!(escaped(b"\x1b[2J\r\n\t\0\x7f"), "\\u{1b}[2J\\r\\n\\t\\0\\u{7f}");
        assert_eq!(escaped("\u{9b}31m\u{202e}\u{2066}\u{200b}".as_bytes()), "\\u{9b}31m\\u{202e}\\u{2066}\\u{200b}");
        assert_eq!(escaped(b"\xffa\xc3"), "\\xffa\\xc3");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("abcd", 4).as_str(), cut("abcde", 4).as_str()), ("abcd", "abc…"));
        assert_eq!(cut("ééééé", 2), "é…");
    }

    #[test]
    fn bytes_are_shown_as_they_are() {
        let bytes: Vec<u8> = (0x60..0x73).collect();
        assert_eq!(
            hex(&bytes),
            "00000000  60 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f  `abcdefghijklmno\n\
             00000010  70 71 72                                         pqr\n"
        );
        assert_eq!(hex(b""), "");
    }
}

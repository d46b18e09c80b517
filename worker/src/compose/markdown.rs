//! Values within markdown.

/// Longer values are cut: a name is there to be recognised, and a notification has to fit a screen.
const MAX_CHARS: usize = 200;

/// A value as markdown that renders to the value's own text and nothing else, wherever in a line it stands.
///
/// White space and control characters become single spaces, so a value never ends its line; characters that reorder
/// the text around them are left out.
pub fn value(text: &str) -> String {
    escape(&normalise(text))
}

fn normalise(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(MAX_CHARS) {
        words.truncate(cut);
        words.truncate(words.trim_end().len());
        words.push('…');
    }
    words
}

/// CommonMark 0.31, 2.4: a backslash before ASCII punctuation makes it text. Only what could mean something is
/// escaped, since the row's content is read by people too.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let marker = block_marker(text);
    for (at, c) in text.char_indices() {
        if marker == Some(at)
            || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '$' | '^')
        {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Where a text that begins a line would begin a heading, a list, a quote or a rule.
fn block_marker(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.as_bytes().get(digits)? {
        b'.' | b')' if digits > 0 => Some(digits),
        b'#' | b'+' | b'-' | b'=' | b':' if digits == 0 => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::render;
    use proptest::prelude::*;

    #[test]
    fn readable_values_stay_as_they_are() {
        for text in ["A-1042", "Cà Phê 79", "O'Neill (Sài Gòn), 5.5%", "https://example.com/a?b=c", "日本語"] {
            assert_eq!(value(text), text);
        }
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(value("*a* [b](c) <d> &amp; `e`"), r"\*a\* \[b\](c) \<d\> \&amp; \`e\`");
        assert_eq!(value("- a\r\n\n# b\0"), r"\- a # b");
        assert_eq!(value("12. a"), r"12\. a");
        assert_eq!(value("a\u{202e}b"), "ab");
        assert_eq!(value(&"x".repeat(201)), format!("{}…", "x".repeat(200)));
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[-+#*_`~<>\\[\\]()!&;:|=\\\\.\"'$^/ \t\n\r0-9a-e]{0,40}"]
    }

    fn as_html_text(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\u{a0}', "&nbsp;")
    }

    proptest! {
        #[test]
        fn renders_to_its_own_text_and_nothing_else(text in hostile()) {
            let expected = normalise(&text);
            for (prefix, suffix) in [("", ""), ("to ", ""), ("", " and more"), ("a ", " b")] {
                let rendered = render(&format!("{prefix}{}{suffix}", value(&text)));
                let line = format!("{prefix}{expected}{suffix}");
                let line = line.trim();
                prop_assert_eq!(&rendered.plain, line);
                let html = if line.is_empty() { String::new() } else { format!("<p>{}</p>", as_html_text(line)) };
                prop_assert_eq!(&rendered.html, &html);
            }
        }
    }
}

//! The markdown of a row, as plain text and as sanitised HTML: what leaves the house.

use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{Event, Parser, Tag, TagEnd, html};

/// What a notification may contain once rendered. Everything else loses its tags and keeps its text; script and
/// style lose that too. Links get `rel="noopener noreferrer"` and only schemes that run nothing.
static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .tags(["p", "br", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li", "a"].into())
        .url_schemes(["https", "http", "mailto"].into());
    builder
});

/// Both forms of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub plain: String,
    pub html: String,
}

/// Renders CommonMark. Raw HTML in it is text to the plain form and goes through the sanitiser in the other.
pub fn render(markdown: &str) -> Rendered {
    let mut unsafe_html = String::with_capacity(markdown.len() + 16);
    html::push_html(&mut unsafe_html, Parser::new(markdown));
    Rendered { plain: plain(markdown), html: SANITIZER.clean(&unsafe_html).to_string().trim_end().to_owned() }
}

fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    for event in Parser::new(markdown) {
        match event {
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::SoftBreak => text.push(' '),
            Event::HardBreak | Event::Rule | Event::Start(Tag::Item) => start_line(&mut text),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Item) => {
                start_line(&mut text);
            }
            _ => {}
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn start_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn renders_markdown() {
        let rendered =
            render("**125.000 ₫** from *A-1042*\nat [Cà Phê 79](https://example.com/?a=1&b)\n\n- one\n- `two`");
        assert_eq!(rendered.plain, "125.000 ₫ from A-1042 at Cà Phê 79\none\ntwo");
        assert_eq!(
            rendered.html,
            "<p><strong>125.000 ₫</strong> from <em>A-1042</em>\nat <a href=\"https://example.com/?a=1&amp;b\" \
             rel=\"noopener noreferrer\">Cà Phê 79</a></p>\n<ul>\n<li>one</li>\n<li><code>two</code></li>\n</ul>"
        );
    }

    #[test]
    fn nothing_that_runs_survives() {
        for (markdown, html) in [
            ("<script>alert(1)</script>", ""),
            ("<img src=x onerror=alert(1)>", ""),
            ("[a](javascript:alert(1))", "<p><a rel=\"noopener noreferrer\">a</a></p>"),
            ("<p onclick=alert(1)>a</p>", "<p>a</p>"),
            ("![a](https://example.com/pixel)", "<p></p>"),
        ] {
            assert_eq!(render(markdown).html, html, "{markdown}");
        }
    }

    proptest! {
        #[test]
        fn any_text_renders_to_allowed_elements(markdown in "[-#*_`<>\\[\\]()!&;:/a-z \n\"'=.0-9]{0,60}") {
            let html = render(&markdown).html;
            for name in html.split('<').skip(1).map(|rest| rest.trim_start_matches('/')) {
                let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!(
                    ["p", "br", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li", "a"].contains(&name.as_str()),
                    "{} from {}", html, markdown
                );
            }
        }
    }
}

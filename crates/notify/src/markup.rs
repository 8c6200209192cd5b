//! A stranger's text, escaped for the formats that messages are written in. Each takes any text; what cannot be seen is
//! written out by [`pipeline::escape`] first.

use std::fmt::Write;

use pipeline::escape::{single_line, terminal};

/// For HTML, as text and within quoted attributes.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in terminal(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// For the text of a Slack message: the three characters that Slack's own escapes begin with ("Formatting text for app
/// surfaces"). So no text can mention `<!channel>` or disguise a link.
pub(crate) fn slack(text: &str) -> String {
    terminal(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For the text runs of an Adaptive Card. They know no Markdown; but `{{DATE(…)}}` is evaluated in any text.
pub(crate) fn card(text: &str) -> String {
    let mut escaped = terminal(text).into_owned();
    while escaped.contains("{{") {
        escaped = escaped.replace("{{", "{ {");
    }
    escaped
}

/// For a parameter's value in the structured data of RFC 5424, section 6.3.3.
pub(crate) fn parameter(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in terminal(text).chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// For a field of the header of a CEF event: a pipe ends it.
pub(crate) fn cef_header(text: &str) -> String {
    terminal(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// For a value in the extension of a CEF event: `key=` would begin the next.
pub(crate) fn cef_value(text: &str) -> String {
    terminal(text).replace('\\', "\\\\").replace('=', "\\=")
}

/// For the inside of a JSON string.
pub(crate) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// For a URL's query or a form: everything but letters, digits and `-._~`.
pub(crate) fn form(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The start of a text on one line, no longer than so many bytes of UTF-8.
pub(crate) fn bytes(text: &str, max: usize) -> String {
    let line = single_line(text, max);
    if line.len() <= max {
        return line.into_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_format_has_its_own_traps() {
        assert_eq!(html("<a href='x'>&\"\n"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\\n");
        assert_eq!(slack("<!channel> <https://evil|aws> &"), "&lt;!channel&gt; &lt;https://evil|aws&gt; &amp;");
        assert_eq!(card("{{DATE(2017-02-14T06:00:00Z, SHORT)}} {{{x"), "{ {DATE(2017-02-14T06:00:00Z, SHORT)}} { { {x");
        assert_eq!(parameter(r#"a"b]c\d"#), r#"a\"b\]c\\d"#);
        assert_eq!(cef_header("a|b\\c\nd"), r"a\|b\\c\\nd");
        assert_eq!(cef_value("a src=1.2.3.4\\"), r"a src\=1.2.3.4\\");
        assert_eq!(json("a\"b\\\u{0}\u{2028}"), "a\\\"b\\\\\\u0000\u{2028}");
        assert_eq!(form("a b&c=é/~"), "a%20b%26c%3D%C3%A9%2F~");
    }

    proptest! {
        #[test]
        fn nothing_breaks_out(text in "[\\x00-\\x7fé\u{202e}{]{0,60}") {
            prop_assert!(!html(&text).contains(['<', '>', '"', '\'']));
            prop_assert!(!slack(&text).contains(['<', '>']));
            prop_assert!(!card(&text).contains("{{"));
            for escaped in [html(&text), slack(&text), card(&text), parameter(&text), cef_header(&text), cef_value(&text)] {
                prop_assert!(!escaped.contains(char::is_control));
            }
            let document = format!("\"{}\"", json(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&document).unwrap(), text);
        }

        #[test]
        fn a_text_fits_its_bytes(text in any::<String>(), max in 3usize..60) {
            prop_assert!(bytes(&text, max).len() <= max);
        }
    }
}

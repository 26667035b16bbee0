//! Text that came from outside, made fit for a line: it can neither begin another one, nor drive a terminal, nor turn the
//! direction of what is read. Knows nothing of what the text says.

use std::fmt::Write;

/// What has no place in a line: control characters (C0, DEL and C1), what ends a line or a paragraph, what turns the
/// direction of text, what has no width.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The text with everything that is unfit for a line written as an escape. A backslash is doubled, so that what was
/// sent can be told from what was escaped.
pub(super) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unfit(c) => {
                let _infallible = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Text of several lines, of which none drives a terminal.
pub(super) fn text(text: &str) -> String {
    text.split('\n').map(controlled).collect::<Vec<_>>().join("\n")
}

/// Without what is unfit for a line; tabs stay.
fn controlled(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if is_unfit(c) && c != '\t' {
            let _infallible = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text of ours that may have several lines and may hold text from outside: the lines behind the first are indented, so
/// that none of them can be taken for one of ours.
pub(super) fn lines(text: &str) -> String {
    text.split('\n').map(controlled).collect::<Vec<_>>().join("\n    ")
}

/// A JSON document of one line that is fit for a terminal as well: JSON itself escapes no more than it needs to.
pub(super) fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        // Outside a string JSON has none of these; all of them are below U+10000.
        if is_unfit(c) {
            let _infallible = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\nb\r\x1b[2J\u{9b}31m\u{7f}\u{202e}x\u{2028}\t\\n\u{feff}\0";

    #[test]
    fn a_line_stays_one_line_and_says_what_was_sent() {
        assert_eq!(
            line(NASTY),
            "a\\nb\\r\\u{1b}[2J\\u{9b}31m\\u{7f}\\u{202e}x\\u{2028}\\t\\\\n\\u{feff}\\u{0}"
        );
        assert_eq!(line("grüße/+ \"温度\""), "grüße/+ \"温度\"");
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(text("one\ntwo\x1b[2J"), "one\ntwo\\u{1b}[2J");
        assert_eq!(lines("one\ntwo\x1b[2J\n\tthree"), "one\n    two\\u{1b}[2J\n    \tthree");
    }

    #[test]
    fn json_means_the_same_after_it() {
        let document = serde_json::to_string(&[NASTY, "grüße"]).unwrap();
        let fit = json(&document);
        assert!(!fit.chars().any(is_unfit), "{fit}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&fit).unwrap(), [NASTY, "grüße"]);
    }
}

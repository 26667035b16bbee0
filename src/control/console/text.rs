//! What the console writes: text from outside so that nothing in it can deceive, numbers, sizes, times. Values in,
//! text out; it knows neither pages nor the broker.

use std::fmt;

use askama::{FastWritable, Values, filters::HtmlSafe};

/// Text that came from outside: a client's name, a topic, a certificate's subject, a payload. In a template it is
/// written as text: markup is escaped, and what would move other characters about, hide, or look like nothing is shown
/// by its number. Its direction ends where it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) String);

impl Foreign {
    /// What `value` shows.
    pub(crate) fn of(value: impl ToString) -> Foreign {
        Foreign(value.to_string())
    }

    /// For attributes and options, which hold no markup: the same characters made visible.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if deceives(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        out
    }

    /// As it came: for the value of a field, and for links, where it is not looked at.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }

    /// For a query of a URL.
    pub(crate) fn encoded(&self) -> String {
        encoded(&self.0)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As HTML. The markup holds no quotes, so that it could not end an attribute either.
    fn html(&self, out: &mut (impl fmt::Write + ?Sized)) -> fmt::Result {
        out.write_str("<bdi>")?;
        for c in self.0.chars() {
            match c {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                c if deceives(c) => write!(out, "<b class=unseen>{}</b>", c.escape_unicode())?,
                c => out.write_char(c)?,
            }
        }
        out.write_str("</bdi>")
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Foreign {
        Foreign(text.to_owned())
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Foreign {
        Foreign(text)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.html(out)
    }
}

impl FastWritable for Foreign {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.html(out)?)
    }
}

impl HtmlSafe for Foreign {}

/// Whether a character changes how others are read, or is read as something else or not at all.
pub(crate) fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Directions, joiners, fillers and separators that are not seen; private and tagged characters.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Percent-encodes everything but letters, digits and `-._~`.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `1,234,567`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0`, `0.4`, `1,234`: a rate a second, without more digits than say something.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 0.05 {
        "0".into()
    } else if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// `3 clients`, `1 client`
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `17 B`, `1.5 KiB`
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut value = number as f64;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{number} B"),
        _ if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// `850 ns`, `12 µs`, `3.4 ms`, `1.2 s`
pub(crate) fn latency(nanos: u64) -> String {
    let value = nanos as f64;
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `42 s`, `3 min`, `5 h`, `12 days`, `9 years`: the largest unit only.
pub(crate) fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        172_800..63_072_000 => format!("{} days", secs / 86_400),
        _ => format!("{} years", secs / 31_557_600),
    }
}

/// A moment, in seconds since 1970. It is written in UTC; the script shows it in the reader's own time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// `2026-11-30T06:51:46Z`
    pub(crate) fn machine(self) -> String {
        self.written("T", "Z")
    }

    /// `2026-11-30 06:51:46 UTC`
    pub(crate) fn people(self) -> String {
        self.written(" ", " UTC")
    }

    fn written(self, between: &str, end: &str) -> String {
        let Ok(at) = time::OffsetDateTime::from_unix_timestamp(self.0) else { return "unknown".into() };
        let (date, clock) = (at.date(), at.time());
        format!(
            "{}-{:02}-{:02}{between}{:02}:{:02}:{:02}{end}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        )
    }
}

/// `<time>`, for templates.
impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<time datetime={}>{}</time>", self.machine(), self.people())
    }
}

impl FastWritable for Moment {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(out, "{self}")?)
    }
}

impl HtmlSafe for Moment {}

/// The points of a line in a box, the last value at its right end: the `points` of a `polyline`. It begins at nought,
/// unless all values lie within a tenth of each other far above it.
pub(crate) fn line(values: &[f64], width: f64, height: f64) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let margin = if least > most * 0.9 && most > 0.0 { Some(most - least + most * 0.02) } else { None };
    let (floor, top) = margin.map_or((0.0, most), |margin| (least - margin, most + margin));
    let range = if top > floor { top - floor } else { 1.0 };
    let step = width / (values.len().max(2) - 1) as f64;
    let mut points = String::new();
    for (index, value) in values.iter().enumerate() {
        let x = width - (values.len() - 1 - index) as f64 * step;
        let y = height - 1.0 - (value - floor) / range * (height - 2.0);
        points.push_str(&format!("{}{x:.1},{y:.1}", if index > 0 { " " } else { "" }));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_never_markup_and_nothing_in_it_is_unseen() {
        let hostile = Foreign::from("<b onload='x'>&\u{202e}\"\n");
        assert_eq!(
            hostile.to_string(),
            "<bdi>&lt;b onload=&#39;x&#39;&gt;&amp;<b class=unseen>\\u{202e}</b>&quot;<b class=unseen>\\u{a}</b></bdi>"
        );
        assert_eq!(Foreign::from("a\u{200b}b\u{0}").plain(), "a\\u{200b}b\\u{0}");
        assert_eq!(Foreign::from("Zürich/温度 \u{5d0}").plain(), "Zürich/温度 \u{5d0}");
        assert_eq!(encoded("a/b #\u{e9}"), "a%2Fb%20%23%C3%A9");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(12_345_678)],
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!(
            [rate(0.0), rate(0.04), rate(0.44), rate(12.6), rate(1234.5)],
            ["0", "0", "0.4", "13", "1,235"]
        );
        assert_eq!([bytes(17), bytes(1_536), bytes(20 << 20)], ["17 B", "1.5 KiB", "20 MiB"]);
        assert_eq!([latency(850), latency(12_345), latency(3_400_000)], ["850 ns", "12 µs", "3.4 ms"]);
        assert_eq!(
            [span(59), span(180), span(7_200), span(86_400 * 12)],
            ["59 s", "3 min", "2 h", "12 days"]
        );
        assert_eq!(plural(1, "client", "clients"), "1 client");
        assert_eq!(Moment(1_700_000_000).people(), "2023-11-14 22:13:20 UTC");
    }

    #[test]
    fn a_line_ends_at_the_right_and_stays_within_its_box() {
        assert_eq!(line(&[0.0, 10.0], 100.0, 20.0), "0.0,19.0 100.0,1.0");
        assert_eq!(line(&[5.0], 100.0, 20.0), "100.0,10.0", "what does not change lies in the middle");
        assert_eq!(line(&[], 100.0, 20.0), "");
    }
}

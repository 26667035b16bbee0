//! The lines that the matrix and this program exchange. It knows nothing of MQTT.

use std::fmt::Write;

/// A line that was read: `verb key=value key=value`, values percent-encoded.
pub(crate) struct Line<'t> {
    pub(crate) verb: &'t str,
    fields: Vec<(&'t str, String)>,
}

impl<'t> Line<'t> {
    pub(crate) fn read(text: &'t str) -> Line<'t> {
        let mut words = text.split(' ');
        let verb = words.next().unwrap_or_default();
        let fields =
            words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key, decoded(value))).collect();
        Line { verb, fields }
    }

    pub(crate) fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s str> {
        self.fields.iter().filter(move |(each, _)| *each == key).map(|(_, value)| value.as_str())
    }

    /// The value, empty where there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.fields.iter().find(|(each, _)| *each == key).map_or("", |(_, value)| value)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u32> {
        let text = self.text(key);
        (!text.is_empty()).then(|| text.parse().expect("a number"))
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key) == "1"
    }

    pub(crate) fn qos(&self, key: &str) -> u8 {
        self.number(key).unwrap_or(0).try_into().expect("0, 1 or 2")
    }

    /// Bytes, written in hexadecimal digits.
    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        self.text(key).as_bytes().chunks(2).map(hexadecimal).collect()
    }

    pub(crate) fn pairs(&self, key: &str) -> Vec<(String, String)> {
        self.all(key)
            .filter_map(|each| each.split_once(':'))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    }
}

fn hexadecimal(digits: &[u8]) -> u8 {
    let digits = std::str::from_utf8(digits).expect("digits are ASCII");
    u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            bytes.push(hexadecimal(&tail[..2]));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("values are UTF-8")
}

/// A line that is to be said.
pub(crate) struct Said(String);

impl Said {
    pub(crate) fn new(verb: &str) -> Said {
        Said(verb.to_owned())
    }

    pub(crate) fn text(mut self, key: &str, value: &str) -> Said {
        write!(self.0, " {key}=").expect("a string takes all");
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                write!(self.0, "%{byte:02X}").expect("a string takes all");
            }
        }
        self
    }

    pub(crate) fn number(mut self, key: &str, value: impl Into<u64>) -> Said {
        write!(self.0, " {key}={}", value.into()).expect("a string takes all");
        self
    }

    pub(crate) fn bytes(mut self, key: &str, value: &[u8]) -> Said {
        write!(self.0, " {key}=").expect("a string takes all");
        for byte in value {
            write!(self.0, "{byte:02x}").expect("a string takes all");
        }
        self
    }

    pub(crate) fn aloud(self) {
        println!("{}", self.0);
    }
}

//! A packet that was traced, as one line of JSON: what came from outside is escaped, the payload is text where it is text
//! and else base64. Knows no output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::control::escape;

/// Which way a packet went, seen from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Direction {
    In,
    Out,
}

/// A packet that was traced.
#[derive(Clone, Debug)]
pub(in crate::control) struct Record {
    /// Microseconds since 1970, UTC.
    pub(in crate::control) unix_micros: u64,
    pub(in crate::control) direction: Direction,
    /// `publish`, `connect`.
    pub(in crate::control) packet: &'static str,
    pub(in crate::control) client: Box<str>,
    pub(in crate::control) message: Option<Message>,
}

/// The message of a PUBLISH.
#[derive(Clone, Debug)]
pub(in crate::control) struct Message {
    pub(in crate::control) topic: Box<str>,
    pub(in crate::control) qos: u8,
    pub(in crate::control) retain: bool,
    /// The beginning of the payload.
    pub(in crate::control) payload: Box<[u8]>,
    /// Of the whole payload.
    pub(in crate::control) payload_bytes: usize,
}

/// As a line, without its end.
pub(super) fn line(record: &Record) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("time", time_of(record.unix_micros).into());
    put("direction", if record.direction == Direction::In { "in" } else { "out" }.into());
    put("packet", record.packet.into());
    put("client_id", (*record.client).into());
    if let Some(message) = &record.message {
        put("topic", (*message.topic).into());
        put("qos", message.qos.into());
        put("retain", message.retain.into());
        put("payload_bytes", message.payload_bytes.into());
        let cut = message.payload.len() < message.payload_bytes;
        if cut {
            put("cut", true.into());
        }
        match text(&message.payload, cut) {
            Some(text) => put("payload", text.into()),
            None => put("payload_base64", STANDARD.encode(&message.payload).into()),
        };
    }
    escape::json(&json!(object).to_string())
}

/// The payload as text, if it is some; where it was cut a character may be half there, and is left out.
fn text(payload: &[u8], cut: bool) -> Option<&str> {
    match std::str::from_utf8(payload) {
        Ok(text) => Some(text),
        // No length: the end is missing, not wrong.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&payload[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

fn time_of(unix_micros: u64) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_micros) * 1_000).ok();
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_else(|| unix_micros.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(client: &str, payload: &[u8], bytes: usize) -> Record {
        let message = Message {
            topic: "a/\u{202e}b".into(),
            qos: 1,
            retain: false,
            payload: payload.into(),
            payload_bytes: bytes,
        };
        Record {
            unix_micros: 1_700_000_000_000_007,
            direction: Direction::In,
            packet: "publish",
            client: client.into(),
            message: Some(message),
        }
    }

    fn read(record: &Record) -> Value {
        let line = line(record);
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_line_says_what_was_sent_and_is_one_line() {
        let said = read(&publish("x\n\x1b[2J", "21.5 °C\n".as_bytes(), 9));
        assert_eq!(said["client_id"], "x\n\x1b[2J");
        assert_eq!(said["topic"], "a/\u{202e}b");
        assert_eq!((&said["payload"], &said["payload_bytes"]), (&"21.5 °C\n".into(), &9.into()));
        assert_eq!(said["time"], "2023-11-14T22:13:20.000007Z");
        assert!(said.get("cut").is_none());
    }

    #[test]
    fn a_payload_that_is_no_text_is_base64_and_one_that_was_cut_says_so() {
        assert_eq!(read(&publish("c", &[0xff, 0], 2))["payload_base64"], "/wA=");
        let cut = read(&publish("c", &"°".as_bytes()[..1], 2));
        assert_eq!((&cut["payload"], &cut["cut"]), (&"".into(), &true.into()));
        assert_eq!(read(&publish("c", &"°".as_bytes()[..1], 1))["payload_base64"], "wg==", "the whole of it");
        let connect = Record { packet: "connect", message: None, ..publish("c", b"", 0) };
        assert!(read(&connect).get("topic").is_none());
    }
}

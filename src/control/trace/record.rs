//! A packet that was traced, as one line of JSON: what came from outside is escaped, the payload is text where it is text
//! and else base64. Knows no output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::control::config::PACKETS;
use crate::control::escape;
use crate::mqtt::{PacketType, Version};
use crate::node::Traced;
use crate::policy::trace::Direction;

/// As a line, without its end.
pub(super) fn line(record: &Traced) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("time", time_of(record.unix_micros).into());
    put("direction", if record.direction == Direction::In { "in" } else { "out" }.into());
    put("packet", packet(record.packet).into());
    put("client_id", (*record.client_id).into());
    put("peer", record.peer.to_string().into());
    put("version", version(record.version).into());
    put("packet_bytes", record.packet_bytes.into());
    if let Some(id) = record.packet_id {
        put("packet_id", id.into());
    }
    if let Some(topic) = &record.topic {
        put("topic", (**topic).into());
    }
    if let Some(qos) = record.qos {
        put("qos", (qos as u8).into());
        put("retain", record.retain.into());
        put("dup", record.dup.into());
        put("payload_bytes", record.payload_bytes.into());
        payload(record, &mut put);
    }
    if !record.codes.is_empty() {
        put("codes", json!(record.codes));
    }
    if !record.filters.is_empty() {
        let filter = |(filter, qos): &(Box<str>, Option<crate::mqtt::QoS>)| json!({ "filter": **filter, "qos": qos.map(|qos| qos as u8) });
        put("filters", record.filters.iter().map(filter).collect());
    }
    if !record.details.is_empty() {
        let detail = |(name, value): &(&'static str, String)| json!({ "name": name, "value": value });
        put("details", record.details.iter().map(detail).collect());
    }
    escape::json(&Value::Object(object).to_string())
}

fn payload(record: &Traced, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
    if record.payload.is_empty() {
        return;
    }
    let cut = record.payload.len() < record.payload_bytes;
    if cut {
        put("cut", true.into());
    }
    match text(&record.payload, cut) {
        Some(text) => put("payload", text.into()),
        None => put("payload_base64", STANDARD.encode(&record.payload).into()),
    };
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

/// As the configuration names it.
fn packet(packet: PacketType) -> &'static str {
    PACKETS.iter().find(|(_, known)| *known == packet).map_or("unknown", |(name, _)| name)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::V3_1 => "3.1",
        Version::V3_1_1 => "3.1.1",
        Version::V5 => "5.0",
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
    use super::super::tests::publish;
    use super::*;

    fn read(record: &Traced) -> Value {
        let line = line(record);
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_line_says_what_was_sent_and_is_one_line() {
        let sent = Traced {
            topic: Some("a/\u{202e}b".into()),
            unix_micros: 1_700_000_000_000_007,
            ..publish("x\n\x1b[2J", "21.5 °C\n".as_bytes())
        };
        let said = read(&sent);
        assert_eq!(said["client_id"], "x\n\x1b[2J");
        assert_eq!((&said["topic"], &said["packet"]), (&"a/\u{202e}b".into(), &"publish".into()));
        assert_eq!((&said["payload"], &said["payload_bytes"]), (&"21.5 °C\n".into(), &9.into()));
        assert_eq!(said["time"], "2023-11-14T22:13:20.000007Z");
        assert!(said.get("cut").is_none() && said.get("codes").is_none());
    }

    #[test]
    fn a_payload_that_is_no_text_is_base64_and_one_that_was_cut_says_so() {
        assert_eq!(read(&publish("c", &[0xff, 0]))["payload_base64"], "/wA=");
        let half = &"°".as_bytes()[..1];
        let cut = read(&Traced { payload_bytes: 2, ..publish("c", half) });
        assert_eq!((&cut["payload"], &cut["cut"]), (&"".into(), &true.into()));
        assert_eq!(read(&publish("c", half))["payload_base64"], "wg==", "the whole of it");
    }

    #[test]
    fn what_other_packets_say_is_there() {
        let packet = Traced {
            qos: None,
            topic: None,
            filters: vec![("a/#".into(), Some(crate::mqtt::QoS::AtLeastOnce)), ("b".into(), None)],
            codes: vec![0, 0x87],
            details: vec![("keep_alive", "60".into())],
            packet: PacketType::Subscribe,
            ..publish("c", b"")
        };
        let said = read(&packet);
        assert_eq!(said["filters"], json!([{ "filter": "a/#", "qos": 1 }, { "filter": "b", "qos": null }]));
        assert_eq!(said["codes"], json!([0, 0x87]));
        assert_eq!(said["details"][0], json!({ "name": "keep_alive", "value": "60" }));
        assert!(said.get("qos").is_none() && said.get("topic").is_none());
    }
}

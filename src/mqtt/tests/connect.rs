//! The first bytes of a connection: whose CONNECT it is, and in which version it is answered.

use super::mqtt::Version;
use super::mqtt::connect::{ClientIdPeek, answer_version, peek_client_id};

const V3: &[u8] = b"\x10\x0F\x00\x04MQTT\x04\x02\x00\x3C\x00\x03abc";
const V5: &[u8] = b"\x10\x15\x00\x04MQTT\x05\x02\x00\x3C\x05\x11\x00\x00\x00\x0A\x00\x03abc";
const V3_1: &[u8] = b"\x10\x11\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x03abc";

#[test]
fn the_client_identifier_is_found_once_the_packet_is_there() {
    for connect in [V3, V5, V3_1] {
        for end in 0..connect.len() {
            assert_eq!(peek_client_id(&connect[..end], 100), ClientIdPeek::Incomplete, "{end} bytes");
        }
        assert_eq!(peek_client_id(connect, 100), ClientIdPeek::ClientId("abc"));
        let followed = [connect, b"\xC0\x00"].concat();
        assert_eq!(peek_client_id(&followed, 100), ClientIdPeek::ClientId("abc"));
    }
    let nameless = b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x3C\x00\x00";
    assert_eq!(peek_client_id(nameless, 100), ClientIdPeek::ClientId(""));
}

/// Whoever will never say a client identifier is not waited for.
#[test]
fn what_is_no_connect_is_hopeless_at_once() {
    for bytes in [&b"\xC0"[..], b"\x30\x05", b"\x11", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\x00"] {
        assert_eq!(peek_client_id(bytes, 100), ClientIdPeek::Hopeless, "{bytes:02X?}");
    }
    // Too large, as soon as it says so; and a remaining length that is none.
    assert_eq!(peek_client_id(V3, V3.len() - 1), ClientIdPeek::Hopeless);
    assert_eq!(peek_client_id(b"\x10\xFF\xFF\xFF\x7F", 65_536), ClientIdPeek::Hopeless);
    assert_eq!(peek_client_id(b"\x10\xFF\xFF\xFF\xFF", usize::MAX), ClientIdPeek::Hopeless);
    assert_eq!(peek_client_id(b"\x10\x80\x00", 100), ClientIdPeek::Hopeless);
}

#[test]
fn a_connect_that_cannot_be_read_is_hopeless() {
    let with = |at: usize, byte: u8| {
        let mut bytes = V5.to_vec();
        bytes[at] = byte;
        bytes
    };
    for (bytes, why) in [
        (with(4, b'X'), "another name"),
        (with(8, 6), "another level"),
        (with(12, 0x7F), "properties beyond the end"),
        (with(19, 4), "an identifier beyond the end"),
        (with(20, 0xFF), "no UTF-8"),
        (with(20, 0), "U+0000"),
        (b"\x10\x00".to_vec(), "empty"),
    ] {
        assert_eq!(peek_client_id(&bytes, 100), ClientIdPeek::Hopeless, "{why}");
    }
}

#[test]
fn a_connect_is_answered_in_its_version() {
    assert_eq!(answer_version(V3), Some(Version::V3_1_1));
    assert_eq!(answer_version(V5), Some(Version::V5));
    assert_eq!(answer_version(V3_1), Some(Version::V3_1));
    assert_eq!(answer_version(b"\x10\x80\x01\x00\x04MQTT\x05"), Some(Version::V5), "two bytes of length");
    assert_eq!(answer_version(b"\x10\x0F\x00\x04MQTT\x06"), Some(Version::V5), "reads 0x84");
    assert_eq!(answer_version(b"\x10\x0F\x00\x04MQTT\x02"), Some(Version::V3_1_1), "reads 0x01");
    assert_eq!(answer_version(b"\x10\x0F\x00\x06MQIsdp\x09"), Some(Version::V3_1));
    for bytes in [
        &b""[..],
        b"\x10",
        b"\x10\x0F",
        b"\x10\x0F\x00\x04MQTT",
        b"\x10\x0F\x00\x04MQXX\x05",
        b"\x30\x0F\x00\x04MQTT\x05",
    ] {
        assert_eq!(answer_version(bytes), None, "{bytes:02X?}");
    }
}

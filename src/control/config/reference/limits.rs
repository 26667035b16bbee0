//! What clients may use.

use super::{Fresh, SectionDoc, bytes, number};

/// Largest packet that MQTT can frame: [MQTT-1.5.5], 4 bytes of length, and the header itself.
const PACKET_BYTES_MOST: u64 = 268_435_455;

const U16: u64 = u16::MAX as u64;
const U32: u64 = u32::MAX as u64;
const I64: u64 = i64::MAX as u64;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const LIMITS: SectionDoc = SectionDoc {
    path: "limits",
    title: "Limits",
    doc: "What one client, or all of them together, may use.",
    fields: &[
        bytes("limits.packet_bytes", "Largest packet", MIB, 128, PACKET_BYTES_MOST)
            .new_connections()
            .says("Largest packet taken from a client. 5.0 clients are told."),
        bytes("limits.connect_packet_bytes", "Largest CONNECT", 64 * KIB, 128, PACKET_BYTES_MOST)
            .new_connections()
            .says("Largest CONNECT: what an unknown peer may make the broker hold."),
        // [MQTT-3.1.3-5]: a server must take 23.
        number("limits.client_id_bytes", "Longest client identifier", 256, 23, U16)
            .new_connections()
            .unit("bytes")
            .says("Longest client identifier."),
        number("limits.topic_bytes", "Longest topic", 1_024, 1, U16)
            .unit("bytes")
            .says("Longest topic name or filter."),
        number("limits.topic_levels", "Deepest topic", 128, 1, U16)
            .unit("levels")
            .says("Most levels of a topic name or filter."),
        number("limits.subscriptions_per_client", "Subscriptions of a client", 1_000, 1, U32)
            .unit("subscriptions")
            .says("Most subscriptions of one client."),
        number("limits.filters_per_packet", "Filters in a packet", 100, 1, U16)
            .unit("filters")
            .says("Most filters in one SUBSCRIBE or UNSUBSCRIBE."),
        number("limits.inflight_messages", "Unacknowledged towards a client", 1_024, 1, U16)
            .new_connections()
            .unit("messages")
            .says("Unacknowledged QoS 1 and 2 messages towards a client, if it allows that many."),
        // [MQTT-3.2.2.3.3]: a Receive Maximum of 0 is a protocol error.
        number("limits.receive_maximum", "Unacknowledged from a client", 1_024, 1, U16)
            .new_connections()
            .unit("messages")
            .says("Unacknowledged QoS 1 and 2 messages from a client. 5.0 clients are told."),
        number("limits.topic_aliases_in", "Topic aliases of a client", 32, 0, U16)
            .new_connections()
            .unit("topics")
            .says("Topics for which a client may use an alias on one connection. 5.0 clients are told."),
        // Each delivery looks through them.
        number("limits.topic_aliases_out", "Topic aliases towards a client", 32, 0, 1_024)
            .new_connections()
            .unit("topics")
            .says("Topics for which the broker uses an alias on one connection, if its client takes that many."),
        number("limits.backlog_messages", "Messages that wait for a client", 10_000, 0, U32)
            .unit("messages")
            .says("Messages that may wait for one client, online or offline."),
        bytes("limits.backlog_bytes", "Bytes that wait for a client", 16 * MIB, 0, U32)
            .says("Bytes of them that may wait. At least as much as the largest packet."),
        bytes("limits.output_bytes", "Output that waits in a connection", 4 * MIB, KIB, U32).says(
            "Output that may wait in one connection before QoS 0 is dropped. At least as much as the largest packet.",
        ),
        number("limits.output_stall_secs", "A stall is so long", 30, 1, U16).unit("seconds").says(
            "A connection that takes less of its waiting output than `output_stall_bytes`, for so long, is closed.",
        ),
        bytes("limits.output_stall_bytes", "A stall is less than", 16 * KIB, 1, U32)
            .says("The least that a connection has to take of its waiting output in `output_stall_secs`."),
        number("limits.connect_timeout_secs", "Time for CONNECT", 10, 1, U16)
            .new_connections()
            .unit("seconds")
            .says("From accept to CONNECT, handshakes included."),
        number("limits.tls_handshakes", "TLS handshakes under way", 1_000, 1, U32)
            .new_connections()
            .unit("handshakes")
            .says("TLS handshakes under way, over all shards; more wait for their turn."),
        number("limits.failed_logins_per_minute", "Wrong passwords per minute", 10, 0, U16)
            .unit("passwords")
            .says(
                "Wrong passwords from one address within a minute, after which none from there is verified until that \
                 minute is over. 0 = any number.",
            ),
        number("limits.keep_alive_maximum_secs", "Longest Keep Alive", 0, 0, U16)
            .new_connections()
            .unit("seconds")
            .says("Longest Keep Alive; 0 = as the client asks. 5.0 clients are told."),
        number("limits.session_expiry_maximum_secs", "Longest session expiry", 86_400, 0, U32)
            .new_connections()
            .unit("seconds")
            .says("How long a session is kept at most after its connection, that of a 3.1.1 client included."),
        number("limits.retained_messages", "Retained messages", 1_000_000, 0, I64)
            .unit("messages")
            .says("Most retained messages, over all shards."),
        bytes("limits.retained_bytes", "Retained bytes", GIB, 0, I64)
            .says("Most bytes of retained messages, over all shards."),
        number("limits.sessions", "Sessions", 1_000_000, 1, I64)
            .unit("sessions")
            .says("Most sessions, over all shards."),
        number("limits.connections", "Connections", 0, 0, U32)
            .new_connections()
            .unit("connections")
            .says("Most connections, over all shards; 0 = nine tenths of the open-file limit."),
        number("limits.user_properties", "User properties in a packet", 64, 0, U16)
            .unit("properties")
            .says("Most user properties in one packet."),
        bytes("limits.user_property_bytes", "Bytes of user properties in a packet", 8 * KIB, 0, U32)
            .says("Most bytes of user properties in one packet."),
    ],
    fresh: Fresh::Table,
};

//! Every limit the broker ships with, in one place, each with its reason. The configuration may change them.

use crate::mqtt::property::UserProperties;

/// Limits that hold for every client. Sizes in bytes, times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet taken from a client. Telemetry is small; firmware is cut up. Announced to 5.0 clients.
    pub packet_bytes: u32,
    /// Largest CONNECT: what an unknown peer may make us hold.
    pub connect_packet_bytes: u32,
    /// Longest client identifier.
    pub client_id_bytes: u16,
    /// Longest topic name or filter.
    pub topic_bytes: u16,
    /// Most levels of a topic name or filter: bounds the walk through the trie.
    pub topic_levels: u16,
    /// Most subscriptions of a client.
    pub subscriptions_per_client: u32,
    /// Most filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_per_packet: u16,
    /// Most unacknowledged QoS 1 and 2 messages towards a client, if it allows that many.
    pub inflight_messages: u16,
    /// Our Receive Maximum: unacknowledged QoS 1 and 2 publishes from a client.
    pub receive_maximum: u16,
    /// Our Topic Alias Maximum: topics that a client may introduce on a connection, each as long as a topic may be.
    /// 0 = none.
    pub topic_aliases_in: u16,
    /// Most topics for which we introduce an alias on a connection, if its client takes that many. The first ones
    /// delivered get them. 0 = none.
    pub topic_aliases_out: u16,
    /// Most messages that wait for one client, online or offline.
    pub backlog_messages: u32,
    /// Most bytes that wait for one client, online or offline.
    pub backlog_bytes: u32,
    /// Output that waits in a connection before QoS 0 is dropped and QoS 1 and 2 wait in the backlog.
    pub output_bytes: u32,
    /// A connection of which output waits for so long, and which takes less than `output_stall_bytes` of it, is closed.
    pub output_stall_secs: u16,
    /// The least that is taken of waiting output in `output_stall_secs`: with both as shipped half a kilobyte a second,
    /// which any link does, and which a reader of a byte now and then does not.
    pub output_stall_bytes: u32,
    /// From accept to CONNECT, everything included.
    pub connect_timeout_secs: u16,
    /// Most TLS handshakes under way, over all shards; more wait for their turn. Anybody may ask for one, and each costs
    /// a hundred microseconds and some ten kilobytes; so many keep every core busy for a tenth of a second.
    pub tls_handshakes: u32,
    /// Wrong passwords from one address (IPv6: from one /64) within a minute, after which none from there is verified
    /// until that minute is over; 0 = any number. Who guesses gets nowhere at this rate, and whoever mistypes is not
    /// shut out for long. Credentials that were verified a while ago are not held up by it.
    pub failed_logins_per_minute: u16,
    /// Longest Keep Alive; 0 = as asked. 5.0 clients are told by Server Keep Alive.
    pub keep_alive_maximum_secs: u16,
    /// Longest session expiry, also that of a 3.1.1 session.
    pub session_expiry_maximum_secs: u32,
    /// Most retained messages, over all shards.
    pub retained_messages: u64,
    /// Most bytes of retained messages, over all shards.
    pub retained_bytes: u64,
    /// Most sessions, over all shards.
    pub sessions: u64,
    /// Most connections; 0 = nine tenths of the open-file limit.
    pub connections: u32,
    /// Most user properties in one packet.
    pub user_properties: u16,
    /// Most bytes of user properties in one packet.
    pub user_property_bytes: u32,
}

impl Limits {
    /// Whether a packet may carry these user properties.
    pub fn allow_user(&self, user: UserProperties<'_>) -> bool {
        user.count() <= usize::from(self.user_properties)
            && user.encoded_len() <= self.user_property_bytes as usize
    }

    /// Whether a topic name or filter is within length and depth.
    pub fn allow_topic(&self, topic: &str) -> bool {
        topic.len() <= usize::from(self.topic_bytes)
            // A level takes a byte at least, its separator: most topics need no count.
            && (topic.len() < usize::from(self.topic_levels)
                || topic.bytes().filter(|b| *b == b'/').count() < usize::from(self.topic_levels))
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            packet_bytes: 1 << 20,
            connect_packet_bytes: 64 << 10,
            client_id_bytes: 256,
            topic_bytes: 1_024,
            topic_levels: 128,
            subscriptions_per_client: 1_000,
            filters_per_packet: 100,
            inflight_messages: 1_024,
            receive_maximum: 1_024,
            topic_aliases_in: 32,
            topic_aliases_out: 32,
            backlog_messages: 10_000,
            backlog_bytes: 16 << 20,
            output_bytes: 4 << 20,
            output_stall_secs: 30,
            output_stall_bytes: 16 << 10,
            connect_timeout_secs: 10,
            tls_handshakes: 1_000,
            failed_logins_per_minute: 10,
            keep_alive_maximum_secs: 0,
            session_expiry_maximum_secs: 24 * 3_600,
            retained_messages: 1_000_000,
            retained_bytes: 1 << 30,
            sessions: 1_000_000,
            connections: 0,
            user_properties: 64,
            user_property_bytes: 8 << 10,
        }
    }
}

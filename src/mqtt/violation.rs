//! Violations: the peer broke the protocol. Each has its reason code; there is no default.

use super::reason::ReasonCode;

/// The one table of violations: variant, stable name, reason code, sentence. The matches made of it have no
/// default arm: a new violation must choose all of them.
macro_rules! violations {
    ($($variant:ident, $name:literal, $code:ident, $sentence:literal;)*) => {
        /// What the peer did wrong. Ends that connection only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Violation {
            $(#[doc = $sentence] $variant,)*
        }

        impl Violation {
            /// Every violation, in the order of `self as usize`: for tables of counters.
            pub const ALL: &'static [Violation] = &[$(Violation::$variant,)*];

            /// The reason code that tells the peer, in CONNACK or DISCONNECT.
            pub fn reason_code(self) -> ReasonCode {
                match self {
                    $(Violation::$variant => ReasonCode::$code,)*
                }
            }

            /// One plain sentence for logs and the operator.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Violation::$variant => $sentence,)*
                }
            }

            /// A stable snake_case name for counters and logs.
            pub fn name(self) -> &'static str {
                match self {
                    $(Violation::$variant => $name,)*
                }
            }
        }
    };
}

violations! {
    // Malformed packets.
    RemainingLength, "remaining_length", MalformedPacket,
        "The remaining length takes more than four bytes, or more than it needs.";
    PacketTooLarge, "packet_too_large", PacketTooLarge,
        "The packet is larger than the maximum.";
    UnknownPacketType, "unknown_packet_type", MalformedPacket,
        "The protocol version has no packet of this type.";
    ReservedFlags, "reserved_flags", MalformedPacket,
        "Reserved flags of the fixed header have the wrong value.";
    Truncated, "truncated", MalformedPacket,
        "The packet ends before its last field does.";
    TrailingBytes, "trailing_bytes", MalformedPacket,
        "The packet goes on after its last field.";
    IllFormedUtf8, "ill_formed_utf8", MalformedPacket,
        "A string is not well-formed UTF-8.";
    NulInString, "nul_in_string", MalformedPacket,
        "A string contains the character U+0000.";
    VariableByteInteger, "variable_byte_integer", MalformedPacket,
        "A variable byte integer takes more than four bytes, or more than it needs.";
    PacketIdZero, "packet_id_zero", MalformedPacket,
        "The packet identifier is zero.";
    QoS3, "qos_3", MalformedPacket,
        "The QoS of a message is 3.";
    DupOnQoS0, "dup_on_qos_0", MalformedPacket,
        "A QoS 0 message is marked as a duplicate.";
    ProtocolName, "protocol_name", UnsupportedProtocolVersion,
        "The protocol name of the CONNECT is not MQTT's.";
    ConnectFlags, "connect_flags", MalformedPacket,
        "The flags of the CONNECT contradict each other or set a reserved bit.";
    ConnAckFlags, "connack_flags", MalformedPacket,
        "The flags of the CONNACK contradict its reason or set a reserved bit.";
    UnknownProperty, "unknown_property", MalformedPacket,
        "There is no property with this identifier.";
    MisplacedProperty, "misplaced_property", MalformedPacket,
        "A property stands in a packet that does not have it.";
    RepeatedProperty, "repeated_property", ProtocolError,
        "A property that may stand once stands twice.";
    PropertyValue, "property_value", ProtocolError,
        "The value of a property is out of its range.";
    UnknownReasonCode, "unknown_reason_code", MalformedPacket,
        "The packet may not carry this reason code.";
    NoFilters, "no_filters", ProtocolError,
        "A SUBSCRIBE or UNSUBSCRIBE has no topic filter.";
    NoReasonCodes, "no_reason_codes", MalformedPacket,
        "A SUBACK or UNSUBACK has no reason code.";
    SubscriptionOptions, "subscription_options", MalformedPacket,
        "Reserved bits of the subscription options are set.";
    SubscriptionQoS3, "subscription_qos_3", ProtocolError,
        "The maximum QoS of a subscription is 3.";
    RetainHandling3, "retain_handling_3", ProtocolError,
        "The retain handling of a subscription is 3.";
    TopicName, "topic_name", MalformedPacket,
        "A topic name is empty, too long, or contains a wildcard.";
    EmptyTopic, "empty_topic", ProtocolError,
        "A PUBLISH has neither a topic name nor a topic alias.";
    ResponseTopic, "response_topic", ProtocolError,
        "The response topic is empty or contains a wildcard.";
    TopicAliasZero, "topic_alias_zero", TopicAliasInvalid,
        "The topic alias is zero.";
    PasswordWithoutUserName, "password_without_user_name", MalformedPacket,
        "A 3.1.1 CONNECT has a password but no user name.";
    // Breaches of what may be sent when.
    UnsupportedVersion, "unsupported_version", UnsupportedProtocolVersion,
        "The protocol level is not one of 3.1, 3.1.1 and 5.0.";
    FirstPacketNotConnect, "first_packet_not_connect", ProtocolError,
        "The first packet of the connection is not a CONNECT.";
    SecondConnect, "second_connect", ProtocolError,
        "The client sent a second CONNECT.";
    PacketOfServer, "packet_of_server", ProtocolError,
        "A client sent a packet that only servers send.";
    PacketOfClient, "packet_of_client", ProtocolError,
        "A server sent a packet that only clients send.";
    TopicAliasUnknown, "topic_alias_unknown", ProtocolError,
        "The topic alias was not given a topic on this connection.";
    TopicAliasTooLarge, "topic_alias_too_large", TopicAliasInvalid,
        "The topic alias is larger than the announced maximum.";
    TopicFilter, "topic_filter", TopicFilterInvalid,
        "A topic filter is not valid.";
    TopicTooLong, "topic_too_long", TopicNameInvalid,
        "A topic has more bytes or levels than the limit.";
    TooManyUserProperties, "too_many_user_properties", QuotaExceeded,
        "A packet has more user properties than the limit.";
    AnswerTooLarge, "answer_too_large", PacketTooLarge,
        "The answer would be larger than the Maximum Packet Size that the client set.";
    ReceiveMaximum, "receive_maximum", ReceiveMaximumExceeded,
        "More messages are unacknowledged than the receive maximum allows.";
    SubscriptionIdFromClient, "subscription_id_from_client", ProtocolError,
        "A client sent a PUBLISH with a subscription identifier.";
    NoLocalOnShared, "no_local_on_shared", ProtocolError,
        "A shared subscription asks for no local.";
    SessionExpiryRaised, "session_expiry_raised", ProtocolError,
        "A DISCONNECT sets a session expiry although CONNECT had none.";
    AuthWithoutMethod, "auth_without_method", ProtocolError,
        "Authentication data or an AUTH packet came without an authentication method.";
    BadAuthenticationMethod, "bad_authentication_method", BadAuthenticationMethod,
        "The authentication method is not supported, or not the one of the CONNECT.";
    KeepAlive, "keep_alive", KeepAliveTimeout,
        "No packet arrived within one and a half times the keep alive.";
    ConnectTimeout, "connect_timeout", MaximumConnectTime,
        "The CONNECT was not complete in time.";
    ClientIdNotValid, "client_id_not_valid", ClientIdentifierNotValid,
        "The client identifier is too long or otherwise not acceptable.";
    // DISCONNECT cannot carry 0x91.
    PacketIdInUse, "packet_id_in_use", ProtocolError,
        "The packet identifier is in use by another exchange.";
    AckOfWrongType, "ack_of_wrong_type", ProtocolError,
        "An acknowledgement does not fit the state of its exchange.";
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.describe())
    }
}

impl std::error::Error for Violation {}

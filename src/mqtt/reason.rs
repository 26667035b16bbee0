//! Reason codes (5.0), where each may stand, and what 3.1.1 makes of them.

use super::packet::{PacketType, Sender};

/// The one table of reason codes: name, byte, text. A new code must give all three.
macro_rules! reason_codes {
    ($($name:ident = $byte:literal, $text:literal;)*) => {
        /// A reason code `[MQTT 5.0, 2.4]`. 0x00 is `Success` wherever it stands (also Normal disconnection,
        /// Granted QoS 0).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $text] $name = $byte,)*
        }

        impl ReasonCode {
            /// Every code, in the order of their bytes.
            pub const ALL: &'static [ReasonCode] = &[$(ReasonCode::$name,)*];

            /// The code for a byte, if there is one.
            #[inline]
            pub fn from_u8(byte: u8) -> Option<ReasonCode> {
                match byte {
                    $($byte => Some(ReasonCode::$name),)*
                    _ => None,
                }
            }

            /// The standard's name for it, in lower case.
            pub fn name(self) -> &'static str {
                match self {
                    $(ReasonCode::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    Success = 0x00, "success";
    GrantedQoS1 = 0x01, "granted QoS 1";
    GrantedQoS2 = 0x02, "granted QoS 2";
    DisconnectWithWill = 0x04, "disconnect with will message";
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    NoSubscriptionExisted = 0x11, "no subscription existed";
    ContinueAuthentication = 0x18, "continue authentication";
    ReAuthenticate = 0x19, "re-authenticate";
    UnspecifiedError = 0x80, "unspecified error";
    MalformedPacket = 0x81, "malformed packet";
    ProtocolError = 0x82, "protocol error";
    ImplementationSpecificError = 0x83, "implementation specific error";
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    BadUserNameOrPassword = 0x86, "bad user name or password";
    NotAuthorized = 0x87, "not authorized";
    ServerUnavailable = 0x88, "server unavailable";
    ServerBusy = 0x89, "server busy";
    Banned = 0x8A, "banned";
    ServerShuttingDown = 0x8B, "server shutting down";
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    SessionTakenOver = 0x8E, "session taken over";
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    TopicNameInvalid = 0x90, "topic name invalid";
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    TopicAliasInvalid = 0x94, "topic alias invalid";
    PacketTooLarge = 0x95, "packet too large";
    MessageRateTooHigh = 0x96, "message rate too high";
    QuotaExceeded = 0x97, "quota exceeded";
    AdministrativeAction = 0x98, "administrative action";
    PayloadFormatInvalid = 0x99, "payload format invalid";
    RetainNotSupported = 0x9A, "retain not supported";
    QoSNotSupported = 0x9B, "QoS not supported";
    UseAnotherServer = 0x9C, "use another server";
    ServerMoved = 0x9D, "server moved";
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    MaximumConnectTime = 0xA0, "maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), *self as u8)
    }
}

impl ReasonCode {
    /// 0x80 and above: a failure.
    #[inline]
    pub fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// What a 3.1.1 CONNACK says for it `[MQTT 3.1.1, 3.2.2.3]`: 0 to 5. `None`: no return code applies, and
    /// 3.1.1 closes without a CONNACK (v3 `[MQTT-3.2.2-6]`).
    pub fn connect_return_code(self) -> Option<u8> {
        use ReasonCode as R;
        match self {
            R::Success => Some(0),
            R::UnsupportedProtocolVersion => Some(1),
            R::ClientIdentifierNotValid => Some(2),
            R::ServerUnavailable
            | R::ServerBusy
            | R::ServerShuttingDown
            | R::QuotaExceeded
            | R::UseAnotherServer
            | R::ServerMoved
            | R::ConnectionRateExceeded => Some(3),
            R::BadUserNameOrPassword | R::BadAuthenticationMethod => Some(4),
            R::NotAuthorized | R::Banned => Some(5),
            _ => None,
        }
    }

    /// What a 3.1.1 CONNACK's return code says.
    pub fn from_connect_return_code(code: u8) -> Option<ReasonCode> {
        match code {
            0 => Some(ReasonCode::Success),
            1 => Some(ReasonCode::UnsupportedProtocolVersion),
            2 => Some(ReasonCode::ClientIdentifierNotValid),
            3 => Some(ReasonCode::ServerUnavailable),
            4 => Some(ReasonCode::BadUserNameOrPassword),
            5 => Some(ReasonCode::NotAuthorized),
            _ => None,
        }
    }

    /// May a 5.0 packet of this type, from this side, carry the code? The tables of 3.2.2.2, 3.4.2.1, 3.5.2.1,
    /// 3.6.2.1, 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1 and 3.15.2.1.
    pub fn may_stand_in(self, packet_type: PacketType, sender: Sender) -> bool {
        let byte = self as u8;
        let server = sender == Sender::Server;
        match packet_type {
            PacketType::ConnAck => matches!(
                byte,
                0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
            ),
            // 0x10 is sent only by the server.
            PacketType::PubAck | PacketType::PubRec => match byte {
                0x10 => server,
                _ => matches!(byte, 0x00 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99),
            },
            PacketType::PubRel | PacketType::PubComp => matches!(byte, 0x00 | 0x92),
            PacketType::SubAck => {
                matches!(byte, 0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2)
            }
            PacketType::UnsubAck => matches!(byte, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91),
            PacketType::Disconnect => match byte {
                0x00 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => true,
                0x04 => !server,
                0x87 | 0x89 | 0x8B..=0x8F | 0x9A..=0xA2 => server,
                _ => false,
            },
            PacketType::Auth => match byte {
                0x00 => server,
                0x18 => true,
                0x19 => !server,
                _ => false,
            },
            PacketType::Connect
            | PacketType::Publish
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::PingResp => false,
        }
    }
}

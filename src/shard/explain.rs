//! Why something was refused, in a sentence: the Reason Strings of 5.0. Who may be sent one is not known here.

use crate::mqtt::{Packet, PacketType, ReasonCode};
use crate::policy::Ground;

use super::effect::CloseCause;

/// Why CONNECT is refused: the ground, the code, and a sentence for whoever reads the client's log.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) ground: Ground,
    pub(super) reason: ReasonCode,
    pub(super) why: &'static str,
}

impl Refusal {
    pub(super) fn new(ground: Ground, reason: ReasonCode, why: &'static str) -> Refusal {
        Refusal { ground, reason, why }
    }
}

/// Why a PUBACK, PUBREC, SUBACK or UNSUBACK says what it says. `None`: the code says it all.
pub(super) fn why_refused(packet: PacketType, reason: ReasonCode) -> Option<&'static str> {
    use PacketType as T;
    use ReasonCode as R;
    Some(match (packet, reason) {
        (T::PubAck | T::PubRec, R::NotAuthorized) => "The client may not publish to this topic.",
        (T::PubAck | T::PubRec, R::QuotaExceeded) => "The server retains as much as its limits allow.",
        (T::SubAck, R::NotAuthorized) => "The client may not subscribe to this topic filter.",
        (T::SubAck, R::QuotaExceeded) => {
            "The packet has more filters, or the client more subscriptions, than the server allows."
        }
        (T::SubAck, R::TopicFilterInvalid) => {
            "A topic filter has more bytes or levels than the server allows."
        }
        (T::UnsubAck, R::ImplementationSpecificError) => {
            "The packet has more filters than the server allows."
        }
        _ => return None,
    })
}

/// The same for a whole packet: the first failure that it tells of.
pub(super) fn why(packet: &Packet<'_>) -> Option<&'static str> {
    let codes = match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) => return why_refused(packet.packet_type(), ack.reason),
        Packet::SubAck(suback) => suback.codes,
        Packet::UnsubAck(unsuback) => unsuback.codes,
        _ => return None,
    };
    let mut failures = codes.iter().filter_map(|&code| ReasonCode::from_u8(code)).filter(|r| r.is_error());
    failures.find_map(|reason| why_refused(packet.packet_type(), reason))
}

/// Why a connection is closed. `None`: the client knows.
pub(super) fn why_closed(cause: CloseCause) -> Option<&'static str> {
    Some(match cause {
        CloseCause::Violation(violation) => violation.describe(),
        CloseCause::TakenOver => "Another connection has the same client identifier.",
        CloseCause::Stalled => "The client takes too little of what is sent to it.",
        CloseCause::Expelled => "The server's operator closed the connection.",
        CloseCause::NotAccepted => "The server no longer accepts the client's certificate or credentials.",
        CloseCause::Stopping => "The server stops.",
        CloseCause::Disconnected | CloseCause::DisconnectedWithWill | CloseCause::Refused(_) => return None,
    })
}

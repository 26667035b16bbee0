//! What the configuration wants of the message log, as the shards understand it. A value in, a value out.

use super::rotated::Keep;
use crate::control::config::{Diagnostics, Direction};
use crate::mqtt::PacketType;
use crate::policy::trace::{Directions, PacketTypes, TraceSet, TraceSpec};

/// The filter of every topic.
const EVERYTHING: &str = "#";
/// Packets that a topic filter is about.
const WITH_TOPIC: [PacketType; 3] = [PacketType::Publish, PacketType::Subscribe, PacketType::Unsubscribe];
/// All others.
const WITHOUT: [PacketType; 12] = [
    PacketType::Connect,
    PacketType::ConnAck,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::SubAck,
    PacketType::UnsubAck,
    PacketType::PingReq,
    PacketType::PingResp,
    PacketType::Disconnect,
    PacketType::Auth,
];

/// What is to be logged; `None`: nothing.
pub(super) fn of_log(wanted: &Diagnostics) -> Option<TraceSet> {
    if !wanted.log_messages {
        return None;
    }
    let picked = |types: &[PacketType]| -> Vec<PacketType> {
        let is_meant = |packet: &&PacketType| wanted.packets.is_empty() || wanted.packets.contains(packet);
        types.iter().filter(is_meant).copied().collect()
    };
    let spec = |topic: Option<&str>, packets: &[PacketType]| TraceSpec {
        client_id: (!wanted.client.is_empty()).then(|| wanted.client.clone()),
        topic: topic.map(str::to_owned),
        directions: match wanted.direction {
            Direction::Both => Directions::Both,
            Direction::In => Directions::In,
            Direction::Out => Directions::Out,
        },
        packets: PacketTypes::of(packets),
        payload_bytes: wanted.payload_bytes as usize,
    };
    let (with_topic, without) = (picked(&WITH_TOPIC), picked(&WITHOUT));
    let specs = if wanted.topic == EVERYTHING {
        vec![spec(None, &[with_topic, without].concat())]
    } else {
        // A packet without a topic is none that the filter leaves out.
        vec![spec(Some(&wanted.topic), &with_topic), spec(None, &without)]
    };
    // The filter was judged with the configuration.
    TraceSet::new(specs).ok()
}

/// How much of it is kept.
pub(super) fn keep(wanted: &Diagnostics) -> Keep {
    Keep { bytes: wanted.file_bytes, files: u32::from(wanted.files).saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::trace::{Direction as Way, Named};

    fn wanted() -> Diagnostics {
        Diagnostics {
            log_messages: true,
            client: String::new(),
            topic: EVERYTHING.into(),
            direction: Direction::Both,
            packets: Vec::new(),
            payload_bytes: 9,
            file_bytes: 100,
            files: 4,
        }
    }

    fn takes(wanted: &Diagnostics, client: &str, way: Way, packet: PacketType, topic: Option<&str>) -> bool {
        let set = of_log(wanted).expect("it is switched on");
        set.payload_bytes(client, way, packet, topic.map_or(Named::Nothing, Named::Topic)).is_some()
    }

    #[test]
    fn a_topic_filter_leaves_out_other_topics_and_no_packet_without_one() {
        let all = wanted();
        assert!(takes(&all, "c", Way::In, PacketType::Publish, Some("a/b")));
        assert!(takes(&all, "c", Way::Out, PacketType::PingResp, None));
        let some = Diagnostics { topic: "a/+".into(), ..wanted() };
        assert!(takes(&some, "c", Way::In, PacketType::Publish, Some("a/b")));
        assert!(!takes(&some, "c", Way::In, PacketType::Publish, Some("b")));
        assert!(takes(&some, "c", Way::In, PacketType::Connect, None));
        let publishes = Diagnostics { packets: vec![PacketType::Publish], direction: Direction::In, ..some };
        assert!(takes(&publishes, "c", Way::In, PacketType::Publish, Some("a/b")));
        assert!(!takes(&publishes, "c", Way::Out, PacketType::Publish, Some("a/b")));
        assert!(!takes(&publishes, "c", Way::In, PacketType::Connect, None));
        let one = Diagnostics { client: "one".into(), ..wanted() };
        assert!(takes(&one, "one", Way::In, PacketType::Connect, None));
        assert!(!takes(&one, "two", Way::In, PacketType::Connect, None));
    }

    #[test]
    fn switched_off_it_wants_nothing_and_the_file_that_is_written_counts() {
        assert_eq!(of_log(&Diagnostics { log_messages: false, ..wanted() }), None);
        assert_eq!(keep(&wanted()), Keep { bytes: 100, files: 3 });
    }
}

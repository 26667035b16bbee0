//! Whoever breaks the protocol: by packet type, state and version; by flags; by length fields; by order.

use super::court::{Court, Fate, State, at_home, connect_bytes, disconnect, refusal, without_why};
use super::*;
use crate::mqtt::connect::{Will, WillProperties};
use crate::mqtt::{ReasonCode, Violation};

const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// A well-formed packet of each type, by the number of its type.
fn of_each_type(version: Version) -> [Vec<u8>; 16] {
    let v5 = version == Version::V5;
    // The fixed header, what follows it; 5.0 has its properties at the place that is given.
    let packet = |first: u8, body: &[u8], at: Option<usize>| {
        let mut body = body.to_vec();
        if let Some(at) = at.filter(|_| v5) {
            body.insert(at, 0);
        }
        let mut packet = vec![first, body.len() as u8];
        packet.extend(body);
        packet
    };
    [
        packet(0x00, &[], None),
        connect_bytes(version, &at_home(2, 0, "sixteen"), |_| {}),
        packet(0x20, &[0, 0], Some(2)),
        packet(0x30, &[0, 1, b'x'], Some(3)),
        packet(0x40, &[0, 1], None),
        packet(0x50, &[0, 1], None),
        packet(0x62, &[0, 1], None),
        packet(0x70, &[0, 1], None),
        packet(0x82, &[0, 1, 0, 1, b'x', 0], Some(2)),
        packet(0x90, &[0, 1, 0], Some(2)),
        packet(0xA2, &[0, 1, 0, 1, b'x'], Some(2)),
        if v5 { vec![0xB0, 4, 0, 1, 0, 0] } else { vec![0xB0, 2, 0, 1] },
        packet(0xC0, &[], None),
        packet(0xD0, &[], None),
        packet(0xE0, &[], None),
        if v5 { vec![0xF0, 6, 0x19, 4, 0x15, 0, 1, b'm'] } else { vec![0xF0, 0] },
    ]
}

#[test]
fn every_packet_type_in_every_state_and_version() {
    use Violation as V;
    let mut court = Court::new();
    for version in VERSIONS {
        let packets = of_each_type(version);
        for (number, bytes) in packets.iter().enumerate() {
            if number == 1 {
                let peer = court.peer(version, State::BeforeConnect);
                let (fate, told) = court.judge(peer, bytes);
                assert_eq!((fate, told.len()), (Fate::Open, 1));
                court.b.cut(peer);
            } else {
                court.convict(version, State::BeforeConnect, bytes, V::FirstPacketNotConnect);
            }
            // [MQTT-3.1.0-2], and what only servers send.
            let violation = match (number, version) {
                (0, _) | (15, Version::V3_1_1) => Some(V::UnknownPacketType),
                (1, _) => Some(V::SecondConnect),
                (2 | 9 | 11 | 13, _) => Some(V::PacketOfServer),
                (15, _) => Some(V::AuthWithoutMethod),
                _ => None,
            };
            if let Some(violation) = violation {
                court.convict(version, State::Connected, bytes, violation);
                continue;
            }
            let peer = court.peer(version, State::Connected);
            let (fate, told) = court.judge(peer, bytes);
            assert_eq!(fate, if number == 14 { Fate::Left } else { Fate::Open }, "type {number}");
            let answer = match number {
                5 => "PubRel",
                6 => "PubComp",
                8 => "SubAck",
                10 => "UnsubAck",
                12 => "PingResp",
                _ => "",
            };
            assert_eq!(told.len(), usize::from(!answer.is_empty()), "type {number}: {told:?}");
            assert!(told.iter().all(|t| t.starts_with(answer)), "type {number}: {told:?}");
        }
    }
}

#[test]
fn every_flag_of_every_packet_type() {
    use Violation as V;
    let mut court = Court::new();
    for version in VERSIONS {
        for (number, packet) in of_each_type(version).iter().enumerate() {
            for flags in (0..16u8).filter(|flags| *flags != packet[0] & 15) {
                let mut bytes = packet.clone();
                bytes[0] = packet[0] & 0xF0 | flags;
                let violation = match number {
                    0 => V::UnknownPacketType,
                    1 => V::SecondConnect,
                    3 if flags & 6 == 6 => V::QoS3,
                    3 if flags & 6 == 0 && flags & 8 != 0 => V::DupOnQoS0,
                    3 => {
                        // QoS 1 and 2 have a packet identifier; RETAIN and DUP are free.
                        if flags & 6 != 0 {
                            bytes.splice(5..5, [0, 9]);
                            bytes[1] += 2;
                        }
                        let peer = court.peer(version, State::Connected);
                        assert_eq!(court.judge(peer, &bytes).0, Fate::Open, "{bytes:02X?}");
                        continue;
                    }
                    15 if version == Version::V3_1_1 => V::UnknownPacketType,
                    _ => V::ReservedFlags,
                };
                court.convict(version, State::Connected, &bytes, violation);
                if number == 1 {
                    court.convict(version, State::BeforeConnect, &bytes, V::ReservedFlags);
                }
            }
        }
    }
}

#[test]
fn packet_identifier_zero_wherever_there_is_one() {
    let mut court = Court::new();
    for version in VERSIONS {
        let packets = of_each_type(version);
        for number in [4, 5, 6, 7, 8, 10] {
            let mut bytes = packets[number].clone();
            bytes[3] = 0;
            court.convict(version, State::Connected, &bytes, Violation::PacketIdZero);
        }
        for first in [0x32, 0x34] {
            let mut bytes = vec![first, 5, 0, 1, b'x', 0, 0];
            if version == Version::V5 {
                bytes.push(0);
                bytes[1] += 1;
            }
            court.convict(version, State::Connected, &bytes, Violation::PacketIdZero);
        }
    }
}

/// A second CONNECT is a second CONNECT, whatever else is wrong with it: `[MQTT-3.1.0-2]`.
#[test]
fn a_second_connect_that_is_malformed_too() {
    let mut court = Court::new();
    for version in VERSIONS {
        for bytes in [&[0x10, 0][..], b"\x10\x07\0\x04HTTP\x05", b"\x10\x07\0\x04MQTT\x09", &[0x1F, 1, 0]] {
            court.convict(version, State::Connected, bytes, Violation::SecondConnect);
        }
    }
}

/// Where the length fields of a packet stand, how wide they are, and what one more and one less come to. `None`: the
/// packet is another well-formed one.
type Lengths = [(usize, usize, Option<Violation>, Option<Violation>)];

#[track_caller]
fn bend_lengths(court: &mut Court, version: Version, state: State, packet: &[u8], lengths: &Lengths) {
    for &(at, width, more, less) in lengths {
        for (step, expected) in [(1i8, more), (-1, less)] {
            let mut bytes = packet.to_vec();
            let low = at + width - 1;
            bytes[low] = bytes[low].wrapping_add_signed(step);
            // Enough behind it to complete any packet, and to be one itself.
            bytes.extend([0xC0, 0, 0xC0, 0]);
            match expected {
                Some(violation) => court.convict(version, state, &bytes, violation),
                None => {
                    let peer = court.peer(version, state);
                    let (fate, _) = court.judge(peer, &bytes);
                    assert_eq!(fate, Fate::Open, "length at {at} {step:+}: {bytes:02X?}");
                }
            }
        }
    }
}

#[test]
fn every_length_of_a_connect_one_more_and_one_less() {
    use Violation as V;
    let mut court = Court::new();
    let will = Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "tt",
        payload: b"pp",
        properties: WillProperties::default(),
    };
    let full = |version| {
        connect_bytes(version, "ii", |c| {
            c.will = Some(will.clone());
            c.user_name = Some("uu");
            c.password = Some(b"ww");
        })
    };
    let v3 = full(Version::V3_1_1);
    assert_eq!(v3.len(), 2 + 10 + 5 * 4);
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V3_1_1, State::BeforeConnect, &v3, &[
        (1, 1, Some(V::TrailingBytes), Some(V::Truncated)),
        (2, 2, Some(V::ProtocolName), Some(V::ProtocolName)),
        (12, 2, Some(V::NulInString), Some(V::Truncated)), // client identifier
        (16, 2, Some(V::NulInString), Some(V::Truncated)), // will topic
        (20, 2, Some(V::Truncated), Some(V::Truncated)), // will payload
        (24, 2, Some(V::NulInString), Some(V::Truncated)), // user name
        (28, 2, Some(V::Truncated), Some(V::TrailingBytes)), // password
    ]);
    let v5 = full(Version::V5);
    assert_eq!(v5.len(), v3.len() + 2);
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V5, State::BeforeConnect, &v5, &[
        (1, 1, Some(V::TrailingBytes), Some(V::Truncated)),
        (12, 1, Some(V::UnknownProperty), Some(V::VariableByteInteger)), // properties
        (13, 2, Some(V::NulInString), Some(V::Truncated)),
        (17, 1, Some(V::UnknownProperty), Some(V::VariableByteInteger)), // the will's properties
        (18, 2, Some(V::NulInString), Some(V::Truncated)),
        (22, 2, Some(V::Truncated), Some(V::Truncated)),
        (26, 2, Some(V::NulInString), Some(V::Truncated)),
        (30, 2, Some(V::Truncated), Some(V::TrailingBytes)),
    ]);
}

#[test]
fn every_length_of_a_publish_and_of_a_subscribe_one_more_and_one_less() {
    use Violation as V;
    let mut court = Court::new();
    let c = State::Connected;
    // QoS 1, topic `tt`, packet identifier 257, payload `p`.
    let publish = [0x32, 7, 0, 2, b't', b't', 1, 1, b'p'];
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V3_1_1, c, &publish, &[
        (1, 1, Some(V::RemainingLength), Some(V::RemainingLength)), // what follows begins a byte later, earlier
        (2, 2, None, None), // another topic, another packet identifier: a well-formed packet
    ]);
    let publish = [0x32, 10, 0, 2, b't', b't', 1, 1, 2, 1, 1, b'p'];
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V5, c, &publish, &[
        (1, 1, Some(V::RemainingLength), Some(V::RemainingLength)),
        (2, 2, Some(V::Truncated), Some(V::Truncated)),
        (8, 1, Some(V::UnknownProperty), Some(V::Truncated)),
    ]);
    let subscribe = [0x82, 7, 0, 1, 0, 2, b'f', b'f', 0];
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V3_1_1, c, &subscribe, &[
        (1, 1, Some(V::Truncated), Some(V::Truncated)),
        (4, 2, Some(V::NulInString), Some(V::SubscriptionOptions)),
    ]);
    let subscribe = [0x82, 10, 0, 1, 2, 0x0B, 7, 0, 2, b'f', b'f', 0];
    #[rustfmt::skip]
    bend_lengths(&mut court, Version::V5, c, &subscribe, &[
        (1, 1, Some(V::Truncated), Some(V::Truncated)),
        (4, 1, Some(V::UnknownProperty), Some(V::Truncated)),
        (7, 2, Some(V::NulInString), Some(V::SubscriptionOptions)),
    ]);
}

#[test]
fn acknowledgements_that_do_not_fit_their_exchange() {
    for version in VERSIONS {
        // The packet in flight, what was acknowledged before, what does not fit now.
        let cases: [(QoS, &[u8], u8); 6] = [
            (QoS::AtLeastOnce, &[], 0x50),
            (QoS::AtLeastOnce, &[], 0x70),
            (QoS::ExactlyOnce, &[], 0x40),
            (QoS::ExactlyOnce, &[], 0x70),
            (QoS::ExactlyOnce, &[0x50], 0x40),
            (QoS::AtLeastOnce, &[0x62], 0x70), // the PUBREL is about the other direction
        ];
        let mut court = Court::new();
        for (qos, before, wrong) in cases {
            let peer = court.peer(version, State::Connected);
            court.b.subscribe(peer, "t", qos);
            court.b.publish(court.witnesses[1], "t", "m", qos, false);
            court.b.received(court.witnesses[1]);
            assert_eq!(court.b.received(peer), [format!("t q{} id1 m", qos as u8)]);
            for first in before {
                court.b.raw(peer, &[*first, 2, 0, 1]);
            }
            court.b.received(peer);
            court.convict_peer(peer, State::Connected, &[wrong, 2, 0, 1], Violation::AckOfWrongType);
        }
        // For nothing at all: no violation, and PUBREL and PUBREC are answered.
        let peer = court.peer(version, State::Connected);
        for first in [0x40, 0x50, 0x62, 0x70] {
            assert_eq!(court.judge(peer, &[first, 2, 0, 1]).0, Fate::Open);
        }
    }
}

#[test]
fn topics_and_filters_that_are_none() {
    use Violation as V;
    let mut court = Court::new();
    for version in VERSIONS {
        let v5 = version == Version::V5;
        for (topic, violation) in [
            (&b"+"[..], V::TopicName),
            (b"a/#", V::TopicName),
            (b"a+b", V::TopicName),
            (b"", V::EmptyTopic),
            (b"a\0b", V::NulInString),
            (b"\xED\xA0\x80", V::IllFormedUtf8),
            (b"\xC0\xAF", V::IllFormedUtf8),
            (b"\xFF", V::IllFormedUtf8),
        ] {
            let mut bytes = vec![0x30, 2 + topic.len() as u8 + u8::from(v5), 0, topic.len() as u8];
            bytes.extend(topic);
            bytes.extend(v5.then_some(0));
            court.convict(version, State::Connected, &bytes, violation);
        }
        for (filter, violation) in [
            (&b""[..], V::TopicFilter),
            (b"#/a", V::TopicFilter),
            (b"a#", V::TopicFilter),
            (b"+a", V::TopicFilter),
            (b"a/+b/c", V::TopicFilter),
            (b"$share/", V::TopicFilter),
            (b"$share/g", V::TopicFilter),
            (b"$share//f", V::TopicFilter),
            (b"$share/g+/f", V::TopicFilter),
            (b"$share/g/", V::TopicFilter),
            (b"f\0", V::NulInString),
            (b"\xED\xBF\xBF", V::IllFormedUtf8),
        ] {
            for first in [0x82, 0xA2] {
                let mut body = vec![0, 5];
                body.extend(v5.then_some(0));
                // A good one in front: it has no effect either.
                for filter in [&b"good"[..], filter] {
                    body.extend([0, filter.len() as u8]);
                    body.extend(filter);
                    body.extend((first == 0x82).then_some(0));
                }
                let mut bytes = vec![first, body.len() as u8];
                bytes.extend(body);
                court.convict(version, State::Connected, &bytes, violation);
            }
        }
    }
}

/// A SUBSCRIBE or UNSUBSCRIBE is valid as a whole or has no effect.
#[test]
fn a_subscribe_that_breaks_off_leaves_no_subscription() {
    let mut court = Court::new();
    let mut durable = connect(Version::V3_1_1, "durable");
    durable.clean_start = false;
    let (peer, _) = court.b.connect_with(&durable);
    court.b.subscribe(peer, "kept", QoS::AtMostOnce);
    court.b.raw(peer, b"\x82\x0E\0\x05\0\x04good\0\0\x02#a\0");
    let (peer, _) = court.b.connect_with(&durable);
    court.b.raw(peer, b"\xA2\x0C\0\x05\0\x04kept\0\x02#a");
    let (peer, _) = court.b.connect_with(&durable);
    for topic in ["good", "kept"] {
        court.b.publish(court.witnesses[0], topic, "m", QoS::AtMostOnce, false);
    }
    assert_eq!(court.b.received(peer), ["kept q0 id0 m"]);
    assert_eq!(court.violations()[&Violation::TopicFilter], 2);
}

#[test]
fn what_a_5_0_client_may_not_say_once_it_is_connected() {
    use Violation as V;
    let mut court = Court::new();
    let cases: [(&[u8], Violation); 16] = [
        (&[0x30, 6, 0, 1, b'x', 2, 0x0B, 1], V::SubscriptionIdFromClient),
        (&[0x30, 7, 0, 1, b'x', 3, 0x23, 0, 0], V::TopicAliasZero),
        (&[0x30, 7, 0, 1, b'x', 3, 0x23, 0, 33], V::TopicAliasTooLarge),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 1], V::TopicAliasUnknown),
        (&[0x30, 3, 0, 0, 0], V::EmptyTopic),
        (&[0x30, 6, 0, 0, 3, 0x23, 0xFF, 0xFF], V::TopicAliasTooLarge),
        (&[0x30, 8, 0, 1, b'x', 4, 1, 0, 1, 0], V::RepeatedProperty),
        (&[0x30, 6, 0, 1, b'x', 2, 1, 2], V::PropertyValue),
        (&[0x30, 8, 0, 1, b'x', 4, 8, 0, 1, b'#'], V::ResponseTopic),
        (&[0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, b'x', 0], V::PropertyValue),
        (&[0x82, 7, 0, 1, 0, 0, 1, b'x', 3], V::SubscriptionQoS3),
        (&[0x82, 7, 0, 1, 0, 0, 1, b'x', 0x30], V::RetainHandling3),
        (&[0x82, 7, 0, 1, 0, 0, 1, b'x', 0x40], V::SubscriptionOptions),
        (&[0x82, 3, 0, 1, 0], V::NoFilters),
        (&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9], V::SessionExpiryRaised),
        (&[0xE0, 1, 0x8E], V::UnknownReasonCode),
    ];
    for (bytes, violation) in cases {
        court.convict(Version::V5, State::Connected, bytes, violation);
    }
    // From another session expiry than 0 it may be changed.
    let mut c = connect(Version::V5, "lasting");
    c.properties.session_expiry_secs = Some(1);
    let (peer, _) = court.b.connect_with(&c);
    let (fate, told) = court.judge(peer, &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]);
    assert_eq!((fate, told.len()), (Fate::Left, 0));
}

#[test]
fn more_unacknowledged_than_the_receive_maximum() {
    let mut court = Court::with(limits(|l| l.receive_maximum = 2));
    let qos2 = |id| vec![0x34, 6, 0, 1, b'x', 0, id, 0];
    let peer = court.peer(Version::V5, State::Connected);
    let (fate, told) = court.judge(peer, &[qos2(1), qos2(2), qos2(2)].concat());
    assert_eq!((fate, told.len()), (Fate::Open, 3), "a repetition is not one more");
    // A PUBREL makes room for one, not for two.
    let bytes = [vec![0x62, 2, 0, 1], qos2(3)].concat();
    assert_eq!(court.judge(peer, &bytes).0, Fate::Open);
    court.convict_peer(peer, State::Connected, &qos2(4), Violation::ReceiveMaximum);
    // 3.1.1 knows none.
    let peer = court.peer(Version::V3_1_1, State::Connected);
    for id in 1..9 {
        assert_eq!(court.judge(peer, &[0x34, 5, 0, 1, b'x', 0, id]).0, Fate::Open);
    }
}

#[test]
fn a_will_is_published_when_its_client_breaks_the_protocol() {
    for version in VERSIONS {
        let mut court = Court::new();
        court.b.subscribe(court.witnesses[1], "will", QoS::AtMostOnce);
        let mut c = connect(version, "mortal");
        c.will = Some(Will {
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "will",
            payload: b"gone",
            properties: WillProperties::default(),
        });
        let (peer, _) = court.b.connect_with(&c);
        court.b.raw(peer, &[0xC1, 0]);
        assert_eq!(court.b.received(court.witnesses[1]), ["will q0 id0 gone"]);
        let told: Vec<String> = court.b.received(peer).iter().map(|packet| without_why(packet)).collect();
        let expected = (version == Version::V5).then(|| disconnect(ReasonCode::MalformedPacket));
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
    }
}

/// Neither a malformed nor a refused CONNECT touches the session, or the connection, that has its client identifier.
#[test]
fn a_bad_connect_costs_its_namesake_nothing() {
    let mut court = Court::new();
    let id = at_home(2, 1, "victim");
    let mut c = connect(Version::V5, &id);
    c.properties.session_expiry_secs = Some(1_000);
    let (victim, _) = court.b.connect_with(&c);
    court.b.subscribe(victim, "v", QoS::AtLeastOnce);
    let good = |version| connect_bytes(version, &id, |_| {});
    let changed = |change: &dyn Fn(&mut Connect<'_>)| connect_bytes(Version::V5, &id, change);
    let mut trailing = good(Version::V5);
    trailing.push(0);
    trailing[1] += 1;
    let mut reserved = good(Version::V3_1_1);
    reserved[9] |= 1;
    let mut short = good(Version::V3_1_1);
    short[1] -= 1;
    let mut level = good(Version::V5);
    level[8] = 6;
    let topic = |topic: &'static str| Will {
        qos: QoS::AtMostOnce,
        retain: true,
        topic,
        payload: b"x",
        properties: WillProperties::default(),
    };
    let (wild, system) = (topic("a/#"), topic("$SYS/broker"));
    let cases: [(Vec<u8>, Fate, Option<ReasonCode>); 8] = [
        (trailing, Fate::Broke(Violation::TrailingBytes), Some(ReasonCode::MalformedPacket)),
        (reserved, Fate::Broke(Violation::ConnectFlags), None),
        (short, Fate::Broke(Violation::Truncated), None),
        (level, Fate::Broke(Violation::UnsupportedVersion), Some(ReasonCode::UnsupportedProtocolVersion)),
        (
            changed(&|c| c.will = Some(wild.clone())),
            Fate::Broke(Violation::TopicName),
            Some(ReasonCode::MalformedPacket),
        ),
        (
            changed(&|c| c.will = Some(system.clone())),
            Fate::Refused(ReasonCode::NotAuthorized),
            Some(ReasonCode::NotAuthorized),
        ),
        (
            changed(&|c| c.properties.authentication_method = Some("m")),
            Fate::Refused(ReasonCode::BadAuthenticationMethod),
            Some(ReasonCode::BadAuthenticationMethod),
        ),
        (
            changed(&|c| c.properties.authentication_data = Some(b"d")),
            Fate::Broke(Violation::AuthWithoutMethod),
            Some(ReasonCode::ProtocolError),
        ),
    ];
    for (bytes, expected, code) in cases {
        let peer = court.b.open(1, Version::V5);
        let (fate, told) = court.judge(peer, &bytes);
        assert_eq!(fate, expected, "{bytes:02X?}");
        assert_eq!(told, code.map(refusal).into_iter().collect::<Vec<_>>());
        court.b.publish(court.witnesses[0], "v", "m", QoS::AtMostOnce, false);
        assert_eq!(court.b.received(victim), ["v q0 id0 m"]);
    }
    let taken_over: u64 = court.b.shards.iter().map(|s| s.counters().taken_over).sum();
    assert_eq!(taken_over, 0);
}

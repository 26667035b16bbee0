//! Which packets are traced: what whoever looks for a fault has asked for, compiled. What becomes of them is not known
//! here.

use crate::mqtt::PacketType;
use crate::mqtt::topic::{is_valid_filter, matches, parse_shared};

/// Most bytes of a payload that are kept.
pub const PAYLOAD_MOST: usize = 4_096;
/// Most specs in a set: each is asked for each packet.
pub const SPECS_MOST: usize = 64;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a client.
    In,
    /// To a client.
    Out,
}

/// Packets of which directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directions {
    /// From clients.
    In,
    /// To clients.
    Out,
    /// Both.
    #[default]
    Both,
}

impl Directions {
    fn contains(self, direction: Direction) -> bool {
        match self {
            Directions::Both => true,
            Directions::In => direction == Direction::In,
            Directions::Out => direction == Direction::Out,
        }
    }
}

/// Some of the types of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTypes(u16);

impl PacketTypes {
    /// Every type.
    pub const ALL: PacketTypes = PacketTypes(u16::MAX);

    /// These.
    pub fn of(types: &[PacketType]) -> PacketTypes {
        PacketTypes(types.iter().fold(0, |bits, packet| bits | 1 << *packet as u16))
    }

    /// Whether it is one of them.
    pub fn contains(self, packet: PacketType) -> bool {
        self.0 & 1 << packet as u16 != 0
    }
}

/// One thing that is asked for. All that it names must hold; it may name a client that is not connected yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSpec {
    /// The client identifier, exactly; `None`: any.
    pub client_id: Option<String>,
    /// A filter that the topic matches; of SUBSCRIBE and UNSUBSCRIBE, that one of their filters equals or is matched
    /// by. Packets that name no topic are not meant then. `None`: any packet.
    pub topic: Option<String>,
    /// From the client, to it, or both.
    pub directions: Directions,
    /// Types of packets.
    pub packets: PacketTypes,
    /// Bytes of payloads that are kept, at most [`PAYLOAD_MOST`].
    pub payload_bytes: usize,
}

impl Default for TraceSpec {
    /// Everything, without payloads.
    fn default() -> TraceSpec {
        TraceSpec {
            client_id: None,
            topic: None,
            directions: Directions::Both,
            packets: PacketTypes::ALL,
            payload_bytes: 0,
        }
    }
}

/// Why nothing can be traced so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceProblem {
    /// It is no filter.
    #[error(
        "{0:?} is not a topic filter: `+` stands alone between slashes, `#` alone at the end, without `$share`"
    )]
    Filter(String),
    /// There are too many.
    #[error(
        "{0} specs are more than {SPECS_MOST}: leave some out, or ask for any client and filter what comes"
    )]
    TooMany(usize),
}

/// What a packet names.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// No topic.
    Nothing,
    /// The topic of a publish.
    Topic(&'a str),
    /// Filters.
    Filters(&'a [&'a str]),
}

impl Named<'_> {
    fn is_meant(self, filter: &str) -> bool {
        match self {
            Named::Nothing => false,
            Named::Topic(topic) => matches(filter, topic),
            Named::Filters(filters) => filters.iter().any(|named| {
                let named = match parse_shared(named) {
                    Some(Ok(shared)) => shared.filter,
                    _ => named,
                };
                filter == named || matches(filter, named)
            }),
        }
    }
}

/// Everything that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSet {
    specs: Vec<TraceSpec>,
}

impl TraceSet {
    /// Packets that any of the specs asks for.
    ///
    /// # Errors
    /// A filter is none, or there are too many.
    pub fn new(mut specs: Vec<TraceSpec>) -> Result<TraceSet, TraceProblem> {
        if specs.len() > SPECS_MOST {
            return Err(TraceProblem::TooMany(specs.len()));
        }
        for spec in &mut specs {
            let wrong = |filter: &&String| !is_valid_filter(filter) || parse_shared(filter).is_some();
            if let Some(filter) = spec.topic.as_ref().filter(wrong) {
                return Err(TraceProblem::Filter(filter.clone()));
            }
            spec.payload_bytes = spec.payload_bytes.min(PAYLOAD_MOST);
        }
        Ok(TraceSet { specs })
    }

    /// What was asked for.
    pub fn specs(&self) -> &[TraceSpec] {
        &self.specs
    }

    /// Whether some packet of a client may be asked for. Cheap: for most clients the answer is no.
    pub fn concerns(&self, client_id: &str, direction: Direction) -> bool {
        self.specs.iter().any(|spec| spec.is_about(client_id, direction))
    }

    /// How many bytes of its payload are to be kept if a packet is asked for.
    pub fn payload_bytes(
        &self,
        client_id: &str,
        direction: Direction,
        packet: PacketType,
        named: Named<'_>,
    ) -> Option<usize> {
        let asks = |spec: &&TraceSpec| {
            spec.is_about(client_id, direction)
                && spec.packets.contains(packet)
                && spec.topic.as_ref().is_none_or(|filter| named.is_meant(filter))
        };
        self.specs.iter().filter(asks).map(|spec| spec.payload_bytes).max()
    }
}

impl TraceSpec {
    fn is_about(&self, client_id: &str, direction: Direction) -> bool {
        self.directions.contains(direction) && self.client_id.as_ref().is_none_or(|named| named == client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(change: impl FnOnce(&mut TraceSpec)) -> TraceSet {
        let mut spec = TraceSpec { payload_bytes: 9, ..TraceSpec::default() };
        change(&mut spec);
        TraceSet::new(vec![spec]).expect("it is right")
    }

    #[test]
    fn all_that_a_spec_names_must_hold() {
        let publish = |set: &TraceSet, client: &str, direction, topic: &str| {
            set.payload_bytes(client, direction, PacketType::Publish, Named::Topic(topic)).is_some()
        };
        let all = about(|_| {});
        assert!(publish(&all, "any", Direction::In, "a") && all.concerns("any", Direction::Out));
        let one = about(|spec| spec.client_id = Some("one".to_owned()));
        assert!(publish(&one, "one", Direction::In, "a") && !publish(&one, "two", Direction::In, "a"));
        assert!(!one.concerns("two", Direction::In));
        let out = about(|spec| spec.directions = Directions::Out);
        assert!(publish(&out, "one", Direction::Out, "a") && !publish(&out, "one", Direction::In, "a"));
        let topic = about(|spec| spec.topic = Some("a/+".to_owned()));
        assert!(publish(&topic, "one", Direction::In, "a/b") && !publish(&topic, "one", Direction::In, "a"));
        let named = |named| topic.payload_bytes("one", Direction::In, PacketType::Subscribe, named).is_some();
        assert!(!named(Named::Nothing) && named(Named::Filters(&["x", "a/b"])));
        assert!(named(Named::Filters(&["a/+"])) && named(Named::Filters(&["$share/g/a/b"])));
        assert!(!named(Named::Filters(&["x/#", "b/+"])));
        let acks = about(|spec| spec.packets = PacketTypes::of(&[PacketType::PubAck, PacketType::PubRec]));
        let of = |packet| acks.payload_bytes("one", Direction::In, packet, Named::Nothing).is_some();
        assert!(of(PacketType::PubRec) && !of(PacketType::PubRel));
    }

    #[test]
    fn the_longest_payload_asked_for_is_kept_and_no_more_than_so_much() {
        let spec = |payload_bytes| TraceSpec { payload_bytes, ..TraceSpec::default() };
        let kept = |specs| {
            let set = TraceSet::new(specs).expect("they are right");
            set.payload_bytes("one", Direction::In, PacketType::Publish, Named::Topic("a"))
        };
        assert_eq!(kept(vec![spec(3), spec(70), spec(5)]), Some(70));
        assert_eq!(kept(vec![spec(usize::MAX)]), Some(PAYLOAD_MOST));
        assert_eq!(kept(vec![]), None);
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        for filter in ["a/#/b", "", "$share/g/a"] {
            let spec = TraceSpec { topic: Some(filter.to_owned()), ..TraceSpec::default() };
            assert_eq!(TraceSet::new(vec![spec]), Err(TraceProblem::Filter(filter.to_owned())));
        }
        let many = vec![TraceSpec::default(); 65];
        assert_eq!(TraceSet::new(many), Err(TraceProblem::TooMany(65)));
    }
}

//! One encoding per layout: a run is written once for each form that its subscribers need, then copied.

use crate::mqtt::publish::Header;
use crate::mqtt::{QoS, Version};
use crate::routing::Homes;
use crate::session::{Ids, Run};
use crate::time::Time;

use super::alias::Naming;
use super::connection::Connection;
use super::deliver::Terms;

/// Most layouts kept for one delivery; beyond that the last is overwritten.
const LAYOUTS: usize = 16;

/// One publication in an encoded run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its place in the run.
    pub(super) item: u32,
    /// Where its packet begins.
    pub(super) start: usize,
    /// Where its packet identifier stands, counted from the first byte of the encoding; 0 at QoS 0.
    pub(super) packet_id: usize,
    /// Bytes of its payload.
    pub(super) payload: usize,
}

/// A run as some subscribers get it.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Its publications, without those that have expired.
    pub(super) parts: Vec<Part>,
    /// The longest packet, in bytes.
    pub(super) longest: usize,
    /// All payloads, in bytes.
    pub(super) payload: u64,
}

impl Encoded {
    /// Where packet `part` ends.
    pub(super) fn end(&self, part: usize) -> usize {
        self.parts.get(part + 1).map_or(self.bytes.len(), |p| p.start)
    }
}

#[derive(Debug, PartialEq)]
struct Layout {
    v5: bool,
    qos: QoS,
    retain: bool,
    ids: Ids,
    naming: Naming,
}

/// The encodings of the run that is being delivered. Buffers are kept from one run to the next.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    entries: Vec<(Layout, Encoded)>,
    used: usize,
    /// Hash of the run's topic, once somebody has asked for it.
    topic_hash: Option<u64>,
}

impl Encodings {
    /// A new run, or the same one at another time (what remains of an expiry is written into it).
    pub(super) fn reset(&mut self) {
        self.used = 0;
        self.topic_hash = None;
    }

    /// The encoding for a layout, made when first asked for.
    #[inline]
    pub(super) fn of(
        &mut self,
        run: &Run,
        version: Version,
        terms: &Terms,
        naming: Naming,
        now: Time,
    ) -> &Encoded {
        let v5 = version == Version::V5;
        let (qos, retain) = (terms.qos, terms.retain);
        let found = self.entries[..self.used].iter().position(|(l, _)| {
            l.v5 == v5 && l.qos == qos && l.retain == retain && l.naming == naming && l.ids == terms.ids
        });
        let at = match found {
            Some(at) => at,
            None => self.make(run, Layout { v5, qos, retain, ids: terms.ids.clone(), naming }, now),
        };
        &self.entries[at].1
    }

    /// The encoding for a connection, and how it says the topic: by its alias where there is one, by its name where
    /// the alias would make the packet too large.
    #[inline]
    pub(super) fn of_connection(
        &mut self,
        run: &Run,
        connection: &Connection,
        terms: &Terms,
        homes: &Homes,
        now: Time,
    ) -> (&Encoded, Naming) {
        let naming = connection.naming(run.topic(), || self.topic_hash(run, homes));
        if naming != Naming::Name {
            let encoded = self.of(run, connection.version, terms, naming, now);
            if encoded.longest > connection.maximum_packet as usize {
                return (self.of(run, connection.version, terms, Naming::Name, now), Naming::Name);
            }
        }
        (self.of(run, connection.version, terms, naming, now), naming)
    }

    /// The hash of the run's topic.
    pub(super) fn topic_hash(&mut self, run: &Run, homes: &Homes) -> u64 {
        *self.topic_hash.get_or_insert_with(|| homes.hash(run.topic().as_bytes()))
    }

    /// How many encodings the last run took.
    #[cfg(test)]
    pub(super) fn made(&self) -> usize {
        self.used
    }

    fn make(&mut self, run: &Run, layout: Layout, now: Time) -> usize {
        if self.used < LAYOUTS {
            self.used += 1;
        }
        let at = self.used - 1;
        if at == self.entries.len() {
            self.entries.push((layout, Encoded::default()));
        } else {
            self.entries[at].0 = layout;
        }
        let (layout, encoded) = &mut self.entries[at];
        let version = if layout.v5 { Version::V5 } else { Version::V3_1_1 };
        encoded.bytes.clear();
        encoded.parts.clear();
        (encoded.longest, encoded.payload) = (0, 0);
        for (i, item) in run.items().iter().enumerate() {
            if item.expires <= now {
                continue;
            }
            let start = encoded.bytes.len();
            let frame = Frame { qos: layout.qos, retain: layout.retain, dup: false };
            // Only the first one introduces the alias: it never goes out without those before it.
            let naming = match layout.naming {
                Naming::Introduce(alias) if !encoded.parts.is_empty() => Naming::Alias(alias),
                naming => naming,
            };
            let header = header(run, i, frame, naming, &layout.ids, now);
            let id = header.encode(version, run.payload(item), &mut encoded.bytes);
            let payload = run.payload_bytes(item);
            encoded.parts.push(Part { item: i as u32, start, packet_id: start + id.unwrap_or(0), payload });
            encoded.payload += payload as u64;
            encoded.longest = encoded.longest.max(encoded.bytes.len() - start);
        }
        at
    }
}

/// The first byte of a delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
}

/// The PUBLISH header of one publication; at QoS 1 and 2 with a packet identifier to be overwritten.
pub(super) fn header<'a>(
    run: &'a Run,
    item: usize,
    frame: Frame,
    naming: Naming,
    ids: &'a [u32],
    now: Time,
) -> Header<'a> {
    let item = &run.items()[item];
    let (topic, topic_alias) = match naming {
        Naming::Name => (run.topic(), None),
        Naming::Introduce(alias) => (run.topic(), Some(alias)),
        Naming::Alias(alias) => ("", Some(alias)),
    };
    Header {
        dup: frame.dup,
        qos: frame.qos,
        retain: frame.retain,
        topic,
        packet_id: (frame.qos != QoS::AtMostOnce).then_some(crate::mqtt::PacketId(std::num::NonZeroU16::MAX)),
        // What remains, rounded up, so that a message that is still alive never says 0 [MQTT-3.3.2-6].
        message_expiry_secs: (item.expires != Time::NEVER).then(|| {
            item.expires.0.saturating_sub(now.0).div_ceil(1_000_000).min(u64::from(u32::MAX)) as u32
        }),
        subscription_ids: ids,
        topic_alias,
        passed_on: run.passed_on(item),
    }
}

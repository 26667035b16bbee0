//! Every path by which a message reaches or leaves a client is judged by the topic rules: a test for each, of the name
//! of its path. `bench/mutants.sh` takes each call to the judge away and must be found out by these.

use std::num::NonZeroU16;

use super::court::bytes_of;
use super::*;
use crate::mqtt::connect::{Will, WillProperties};
use crate::policy::certificates::{CommonName, Distrust, Trust, Trusted};
use crate::policy::rules::{Access, ClientMatch, Rule, Rules, TopicMatch};
use crate::policy::{CertificatePolicy, Listing, RefusedPublish, Thumbprint};

pub(super) use Access::{Deny, Read, ReadWrite, Write};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

pub(super) const SHARDS: [u16; 3] = [1, 2, 5];

/// Trusts whatever is presented.
#[derive(Debug)]
struct Everybody;

impl Trust for Everybody {
    fn fingerprint(&self) -> u64 {
        1
    }

    fn verify(&self, _chain: &[Box<[u8]>], _unix_secs: u64) -> Result<Trusted, Distrust> {
        Ok(Trusted { by: 1, until_unix_secs: u64::MAX })
    }
}

/// The thumbprint of the certificate of this name.
pub(super) fn thumbprint(name: &str) -> Thumbprint {
    let mut bytes = [0; 32];
    name.bytes().zip(&mut bytes).for_each(|(from, to)| *to = from);
    Thumbprint(bytes)
}

pub(super) fn certificate(name: &str, common_name: CommonName) -> Arc<Presented> {
    let subject = format!("CN={name}").into();
    Arc::new(Presented { thumbprint: thumbprint(name), subject, common_name, chain: Box::new([]) })
}

/// Rules as short as they can be written: access, client, topic. `*`: all, `~`: a pattern follows.
pub(super) fn rules(rules: &[(Access, &str, &str)]) -> Snapshot {
    let rule = |(access, client, topic): &(Access, &str, &str)| Rule {
        name: format!("{access}, {client}, {topic}"),
        access: *access,
        client: match client.strip_prefix('~') {
            Some(pattern) => ClientMatch::Pattern(pattern.to_owned()),
            None if *client == "*" => ClientMatch::All,
            None => ClientMatch::Specific((*client).to_owned()),
        },
        topic: match *topic {
            "*" => TopicMatch::All,
            _ if topic.contains('{') => TopicMatch::Pattern((*topic).to_owned()),
            _ => TopicMatch::Specific((*topic).to_owned()),
        },
    };
    let compiled = Rules::compile(rules.iter().map(rule).collect()).expect("rules of tests are right");
    Snapshot { rules: Some(Arc::new(compiled)), ..trusting(&[]) }
}

/// No rules; everybody is trusted but for those listed as Revoked.
pub(super) fn trusting(revoked: &[&str]) -> Snapshot {
    let listed = revoked.iter().map(|name| (thumbprint(name), Listing::Revoked)).collect();
    let certificates =
        CertificatePolicy { listed, trust: Arc::new(Everybody), ..CertificatePolicy::default() };
    Snapshot { certificates: Arc::new(certificates), ..limits(|_| {}) }
}

impl Broker {
    /// A connection with a certificate and the CONNECT that is sent on it. What it is told.
    pub(super) fn arrive(
        &mut self,
        certificate: Option<Arc<Presented>>,
        connect: &Connect<'_>,
    ) -> (Peer, Vec<String>) {
        self.next += 1;
        let home = client_home(&KEY, self.shards.len() as u16, connect.client_id);
        let conn = ConnId { index: self.next, generation: self.next };
        let peer = Peer { shard: home.0, conn, version: connect.version };
        let address = "127.0.0.1:1".parse().expect("an address");
        let tls = certificate.is_some();
        let deadline = self.now.after_secs(10);
        let opened = Opened { tls, certificate, ..Opened::plain(address, 0, deadline) };
        self.shards[usize::from(home.0)].handle_open(conn, opened);
        self.send(peer, &Packet::Connect(connect.clone()));
        let received = self.received(peer);
        (peer, received)
    }

    /// A client whose name, by its certificate, is its identifier.
    pub(super) fn named(&mut self, version: Version, name: &str) -> Peer {
        let certificate = certificate(name, CommonName::One(name.into()));
        let (peer, told) = self.arrive(Some(certificate), &connect(version, name));
        assert!(told[0].contains("Success"), "{told:?}");
        peer
    }

    /// The same with a session that lasts, and all that it is told.
    pub(super) fn durable(&mut self, name: &str, window: u16) -> (Peer, Vec<String>) {
        let certificate = certificate(name, CommonName::One(name.into()));
        self.arrive(Some(certificate), &lasting(name, window))
    }

    /// A snapshot is installed everywhere; nothing else happens yet.
    pub(super) fn install(&mut self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.shards.iter_mut().for_each(|shard| shard.install(snapshot.clone()));
    }

    /// Somebody who may publish whatever the rules of these tests allow `boss` says something.
    pub(super) fn say(&mut self, boss: Peer, topics: &[&str], qos: QoS) {
        topics.iter().for_each(|topic| self.publish(boss, topic, "x", qos, false));
    }

    pub(super) fn count(&self, what: impl Fn(&Counters) -> u64) -> u64 {
        self.shards.iter().map(|shard| what(shard.counters())).sum()
    }
}

pub(super) fn lasting(name: &str, window: u16) -> Connect<'_> {
    let mut c = Connect { clean_start: false, ..connect(Version::V5, name) };
    c.properties.session_expiry_secs = Some(1_000);
    c.properties.receive_maximum = NonZeroU16::new(window);
    c
}

pub(super) fn with_will<'a>(connect: Connect<'a>, topic: &'a str, delay_secs: u32) -> Connect<'a> {
    let properties = WillProperties { delay_secs: Some(delay_secs), ..WillProperties::default() };
    let will = Will { qos: AtLeastOnce, retain: false, topic, payload: b"w", properties };
    Connect { will: Some(will), ..connect }
}

/// Topics of what was received, without the SUBACK and such.
pub(super) fn topics(received: &[String]) -> Vec<&str> {
    received.iter().filter(|p| p.contains(" q")).map(|p| p.split(' ').next().expect("a topic")).collect()
}

/// `boss` may do anything; `dev` may publish to `a/ok` and read all of `a`, but not `a/secret`.
const RULES: &[(Access, &str, &str)] =
    &[(ReadWrite, "boss", "#"), (ReadWrite, "dev", "a/ok"), (Deny, "*", "a/secret"), (Read, "*", "a/#")];

#[test]
fn publish() {
    for (shards, qos) in
        SHARDS.into_iter().flat_map(|n| [AtMostOnce, AtLeastOnce, ExactlyOnce].map(|q| (n, q)))
    {
        for version in [Version::V5, Version::V3_1_1] {
            let mut b = Broker::with(shards, rules(RULES));
            let boss = b.named(Version::V5, "boss");
            b.subscribe(boss, "#", AtMostOnce);
            let dev = b.named(version, "dev");
            b.publish(dev, "a/ok", "1", qos, false);
            let accepted = b.received(dev);
            for topic in ["a/other", "a/secret", "elsewhere", "$SYS/a"] {
                b.publish(dev, topic, "2", qos, true);
                let told = b.received(dev).concat();
                match (qos, version) {
                    (AtMostOnce, _) => assert_eq!(told, ""),
                    // 3.1.1 has no way to say it.
                    (_, Version::V3_1_1) => assert_eq!([told], [accepted.concat()]),
                    (AtLeastOnce, _) => assert!(told.contains("PubAck") && told.contains("NotAuthorized")),
                    (ExactlyOnce, _) => assert!(told.contains("PubRec") && told.contains("NotAuthorized")),
                }
            }
            b.publish(dev, "a/ok", "3", qos, false);
            assert_eq!(b.received(boss), ["a/ok q0 id0 1", "a/ok q0 id0 3"]);
            assert_eq!(b.count(|c| c.publishes_refused), 4);
            assert_eq!(b.shards.iter().map(|s| s.census().retained).sum::<usize>(), 0);
        }
    }
}

/// What was accepted before it in the same read is passed on, what comes after it is not read.
#[test]
fn publish_of_3_1_1_closes_where_that_is_configured() {
    for shards in SHARDS {
        let snapshot = Snapshot { refused_publish_v3: RefusedPublish::Close, ..rules(RULES) };
        let mut b = Broker::with(shards, snapshot);
        let boss = b.named(Version::V5, "boss");
        b.subscribe(boss, "#", AtMostOnce);
        let dev = b.named(Version::V3_1_1, "dev");
        let bytes = b"\x30\x07\x00\x04a/okx\x30\x07\x00\x04a/noy\x30\x07\x00\x04a/okz";
        b.raw(dev, bytes);
        assert_eq!(b.received(boss), ["a/ok q0 id0 x"]);
        let causes: Vec<CloseCause> = b.closed.iter().map(|(_, cause)| *cause).collect();
        assert_eq!(causes, [CloseCause::Refused(crate::mqtt::ReasonCode::NotAuthorized)]);
        // Of 5.0 nobody is closed.
        let dev = b.named(Version::V5, "dev");
        b.raw(dev, b"\x30\x08\x00\x04a/no\x00y\x30\x08\x00\x04a/ok\x00z");
        assert_eq!(b.received(boss), ["a/ok q0 id0 z"]);
    }
}

#[test]
fn publish_by_alias() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(RULES));
        let boss = b.named(Version::V5, "boss");
        b.subscribe(boss, "#", AtMostOnce);
        let dev = b.named(Version::V5, "dev");
        let by = |topic, alias, payload: &str| {
            let properties =
                PublishProperties { topic_alias: NonZeroU16::new(alias), ..PublishProperties::default() };
            let payload = payload.as_bytes();
            let packet = Publish {
                dup: false,
                qos: AtMostOnce,
                retain: false,
                topic,
                packet_id: None,
                properties,
                payload,
            };
            bytes_of(Version::V5, &Packet::Publish(packet))
        };
        let all = [
            by("a/ok", 1, "1"),
            by("a/no", 2, "2"),
            by("", 2, "3"),
            by("", 1, "4"),
            by("a/no", 1, "5"),
            by("", 1, "6"),
            by("a/ok", 2, "7"),
            by("", 2, "8"),
        ];
        b.raw(dev, &all.concat());
        assert_eq!(b.received(boss), ["1", "4", "7", "8"].map(|p| format!("a/ok q0 id0 {p}")));
        // An alias is no way round rules that came after it.
        b.install(rules(&[(ReadWrite, "boss", "#")]));
        b.raw(dev, &by("", 2, "9"));
        assert_eq!(b.received(boss), [""; 0]);
        assert_eq!(b.count(|c| c.publishes_refused), 5);
    }
}

#[test]
fn will_at_connect() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(RULES));
        let before = b.named(Version::V5, "dev");
        for version in [Version::V5, Version::V3_1_1] {
            for topic in ["a/secret", "elsewhere", "$SYS/broker"] {
                let dev = certificate("dev", CommonName::One("dev".into()));
                let (_, told) = b.arrive(Some(dev), &with_will(connect(version, "dev"), topic, 0));
                assert!(told[0].contains("NotAuthorized"), "{told:?}");
                let nobody = with_will(connect(version, "nobody"), "a/ok", 0);
                assert!(b.connect_with(&nobody).1[0].contains("NotAuthorized"), "it has no name");
            }
        }
        b.send(before, &Packet::PingReq);
        assert_eq!(b.received(before), ["PingResp"], "a refused CONNECT takes nobody over");
        let dev = certificate("dev", CommonName::One("dev".into()));
        let (_, told) = b.arrive(Some(dev), &with_will(connect(Version::V5, "dev"), "a/ok", 0));
        assert!(told[0].contains("Success"), "{told:?}");
    }
}

#[test]
fn will_when_it_is_published() {
    const NO_MORE: &[(Access, &str, &str)] = &[(ReadWrite, "boss", "#"), (Read, "*", "a/#")];
    // With a delay and without, swept and before the sweep, allowed still and not.
    for shards in SHARDS {
        for case in 0..8 {
            let (delay, swept, allowed) = ([0, 5][case & 1], case & 2 > 0, case & 4 > 0);
            let mut b = Broker::with(shards, rules(RULES));
            let boss = b.named(Version::V5, "boss");
            b.subscribe(boss, "#", AtMostOnce);
            let dev = certificate("dev", CommonName::One("dev".into()));
            let (dev, _) = b.arrive(Some(dev), &with_will(lasting("dev", 10), "a/ok", delay));
            if delay > 0 {
                b.cut(dev);
            }
            b.install(rules(if allowed { RULES } else { NO_MORE }));
            if swept {
                b.settle();
            }
            if delay == 0 {
                b.cut(dev);
            }
            b.pass(10);
            let expected = if allowed { vec!["a/ok q0 id0 w".to_owned()] } else { vec![] };
            assert_eq!(b.received(boss), expected, "case {case}");
            assert_eq!(b.count(|c| c.publishes_refused), u64::from(!allowed));
        }
    }
}

#[test]
fn subscribe() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(RULES));
        for (version, code) in [(Version::V5, "135"), (Version::V3_1_1, "128")] {
            let dev = b.named(version, "dev");
            let mut told = |filter: &str| {
                let told = b.subscribe(dev, filter, AtLeastOnce).concat();
                let (_, codes) = told.split_once("codes: [").unwrap_or_else(|| panic!("{told}"));
                codes.split(']').next().expect("a list").to_owned()
            };
            // No rule covers, only overlaps; the first that covers denies; a share is judged by its filter.
            for filter in
                ["#", "+/ok", "+", "elsewhere", "a/secret", "$share/g/a/secret", "$share/a/b", "$SYS/#"]
            {
                assert_eq!(told(filter), code, "{filter}");
            }
            for filter in ["a/#", "a/+", "a/b/c", "a", "a/ok", "$share/g/a/#", "$share/b/a/ok"] {
                assert_eq!(told(filter), "1", "{filter}");
            }
            assert_eq!(b.shards.iter().map(|s| s.census().subscriptions).sum::<usize>(), 7);
            b.cut(dev);
        }
        assert_eq!(b.count(|c| c.subscribes_refused), 16);
    }
}

#[test]
fn live() {
    for (shards, qos) in SHARDS.into_iter().flat_map(|n| [AtMostOnce, AtLeastOnce].map(|q| (n, q))) {
        let mut b = Broker::with(shards, rules(RULES));
        let boss = b.named(Version::V5, "boss");
        let one = b.named(Version::V5, "dev");
        b.subscribe(one, "a/#", qos);
        // Several filters of one client that match: only some of them overlap the denied topic.
        let several = b.named(Version::V5, "several");
        for filter in ["a/#", "a/+", "a/ok", "a/b/+"] {
            b.subscribe(several, filter, qos);
        }
        let topics_said = ["a/ok", "a/secret", "a/b/c", "a/secret", "a"];
        b.say(boss, &topics_said, qos);
        for peer in [one, several] {
            assert_eq!(sorted(topics(&b.received(peer))), ["a", "a/b/c", "a/ok"]);
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

#[test]
fn retained() {
    for shards in SHARDS {
        for qos in [AtMostOnce, AtLeastOnce] {
            let mut b = Broker::with(shards, rules(RULES));
            let boss = b.named(Version::V5, "boss");
            for topic in ["a/ok", "a/secret", "a/b/c", "b"] {
                b.publish(boss, topic, "x", qos, true);
            }
            let dev = b.named(Version::V5, "dev");
            let got = b.subscribe(dev, "a/#", qos);
            assert_eq!(sorted(topics(&got)), ["a/b/c", "a/ok"]);
        }
    }
}

/// The rules change between two batches of a replay.
#[test]
fn retained_while_they_are_replayed() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(RULES));
        b.shards.iter_mut().for_each(|s| s.set_pace(Pace { replay_batch: 1, ..Pace::default() }));
        let boss = b.named(Version::V5, "boss");
        let names: Vec<String> = (0..9).map(|i| format!("a/{i}")).collect();
        names.iter().for_each(|topic| b.publish(boss, topic, "x", AtLeastOnce, true));
        let (dev, _) = b.durable("dev", 1);
        assert_eq!(topics(&b.subscribe(dev, "a/#", AtLeastOnce)).len(), 1, "one at a time");
        b.install(rules(&[
            (ReadWrite, "boss", "#"),
            (Read, "*", "a/3"),
            (Deny, "*", "a/+"),
            (Read, "*", "a/#"),
        ]));
        let mut got = Vec::new();
        for id in 1..20 {
            b.ack(dev, id, Packet::PubAck);
            got.extend(b.received(dev));
        }
        let got = topics(&got);
        assert!(got.iter().all(|topic| *topic == "a/3"), "{got:?}");
    }
}

/// What waited for a session that nobody used, and what waited for room.
#[test]
fn queued() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let (dev, _) = b.durable("dev", 100);
        b.subscribe(dev, "a/#", AtLeastOnce);
        b.cut(dev);
        let (narrow, _) = b.durable("narrow", 1);
        b.subscribe(narrow, "a/#", AtLeastOnce);
        b.say(boss, &["a/ok", "a/secret", "a/b", "a/secret"], AtLeastOnce);
        assert_eq!(topics(&b.received(narrow)), ["a/ok"]);
        b.install(rules(RULES));
        assert_eq!(topics(&b.durable("dev", 100).1), ["a/ok", "a/b"]);
        b.ack(narrow, 1, Packet::PubAck);
        let got = b.received(narrow);
        assert_eq!(topics(&got), ["a/b"]);
        let id = got[0].split(" id").nth(1).and_then(|rest| rest.split(' ').next()).expect("an identifier");
        b.ack(narrow, id.parse().expect("a number"), Packet::PubAck);
        assert_eq!(b.received(narrow), [""; 0]);
        assert_eq!(b.count(|c| c.drops.refused), 4);
        assert_eq!(b.shards.iter().map(|s| s.census().backlog_messages).sum::<usize>(), 0);
    }
}

/// Of QoS 0, behind a retained message that must come first.
#[test]
fn queued_of_qos_0() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        ["a/1", "a/2"].iter().for_each(|topic| b.publish(boss, topic, "x", AtLeastOnce, true));
        let (dev, _) = b.durable("dev", 1);
        let first = b.subscribe(dev, "a/#", AtLeastOnce);
        assert_eq!(topics(&first).len(), 1);
        b.publish(boss, "a/3", "waits", AtLeastOnce, true);
        let rap = SubscriptionOptions { retain_as_published: true, ..options(AtLeastOnce) };
        b.subscribe_with(
            dev,
            "a/#",
            SubscriptionOptions { retain_handling: RetainHandling::DoNotSend, ..rap },
            None,
        );
        b.publish(boss, "a/4", "retained as published", AtLeastOnce, true);
        b.say(boss, &["a/ok", "a/secret"], AtMostOnce);
        assert_eq!(topics(&b.received(dev)), [""; 0], "all of it waits");
        b.install(rules(RULES));
        let mut got = Vec::new();
        for id in 1..10 {
            b.ack(dev, id, Packet::PubAck);
            got.extend(b.received(dev));
        }
        let got = topics(&got);
        assert!(got.contains(&"a/ok") && got.contains(&"a/4") && !got.contains(&"a/secret"), "{got:?}");
    }
}

#[test]
fn resent() {
    for (shards, qos) in SHARDS.into_iter().flat_map(|n| [AtLeastOnce, ExactlyOnce].map(|q| (n, q))) {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let (dev, _) = b.durable("dev", 2);
        b.subscribe(dev, "a/#", qos);
        b.say(boss, &["a/secret", "a/ok", "a/b"], qos);
        assert_eq!(topics(&b.received(dev)), ["a/secret", "a/ok"]);
        b.cut(dev);
        b.install(rules(RULES));
        let (dev, told) = b.durable("dev", 2);
        assert_eq!(told.iter().filter(|p| p.ends_with(" dup")).count(), 1, "{told:?}");
        assert_eq!(topics(&told), ["a/ok", "a/b"], "there is room for one more");
        // What was not sent again counts nowhere: its identifier is free.
        b.say(boss, &["a/c"], qos);
        let last = if qos == AtLeastOnce {
            b.ack(dev, 2, Packet::PubAck);
            b.received(dev)
        } else {
            b.ack(dev, 2, Packet::PubRec);
            b.ack(dev, 2, Packet::PubComp);
            b.received(dev)
        };
        assert_eq!(topics(&last), ["a/c"]);
    }
}

#[test]
fn shared() {
    // `blind` may not read the secret, `other` may.
    const SOME: &[(Access, &str, &str)] =
        &[(Deny, "blind", "a/secret"), (ReadWrite, "*", "a/#"), (ReadWrite, "boss", "#")];
    for (shards, qos) in SHARDS.into_iter().flat_map(|n| [AtMostOnce, AtLeastOnce].map(|q| (n, q))) {
        let mut b = Broker::with(shards, rules(SOME));
        let boss = b.named(Version::V5, "boss");
        let (blind, _) = b.durable("blind", 100);
        let (other, _) = b.durable("other", 100);
        for peer in [blind, other] {
            assert!(b.subscribe(peer, "$share/g/a/+", qos)[0].contains("SubAck"));
        }
        b.say(boss, &["a/secret"; 6], qos);
        assert_eq!((b.received(blind), b.received(other).len()), (vec![], 6));
        b.say(boss, &["a/ok"; 6], qos);
        assert_eq!(b.received(blind).len() + b.received(other).len(), 6);
        b.cut(other);
        b.say(boss, &["a/secret"], qos);
        assert_eq!(b.received(blind), [""; 0]);
        let kept = usize::from(qos != AtMostOnce);
        assert_eq!(b.count(|c| c.drops.no_member), 1 - kept as u64, "the session of the other keeps it");
        let (other, told) = b.durable("other", 100);
        assert_eq!(topics(&told).iter().filter(|topic| **topic == "a/secret").count(), 7 * kept);
        // Nobody may any more, also nobody who is not connected.
        b.cut(other);
        b.install(rules(&[(Write, "boss", "#"), (Deny, "*", "a/secret"), (Read, "*", "a/#")]));
        let before = b.count(|c| c.drops.no_member);
        b.say(boss, &["a/secret"; 2], qos);
        assert_eq!(b.received(blind), [""; 0]);
        assert_eq!(b.count(|c| c.drops.no_member) - before, 2);
    }
}

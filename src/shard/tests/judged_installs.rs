//! What an install does to those who are connected, to their sessions and to what is under way; and who may have a
//! session at all.

use super::court::connect_bytes;
use super::judged::{
    Deny, Read, ReadWrite, SHARDS, Write, certificate, lasting, rules, topics, trusting, with_will,
};
use super::*;
use crate::mqtt::ReasonCode;
use crate::policy::certificates::CommonName;
use crate::policy::credentials::tests::stored;
use crate::policy::{ClientIdPolicy, ClientNames, Credentials, ListenerPolicy, Requirement};
use QoS::{AtLeastOnce, AtMostOnce};

fn named(name: &str) -> Option<Arc<Presented>> {
    Some(certificate(name, CommonName::One(name.into())))
}

fn required(snapshot: Snapshot) -> Snapshot {
    let policy = ListenerPolicy { tls: true, certificate: Requirement::Required };
    Snapshot { listeners: [(0, policy)].into(), ..snapshot }
}

/// With these users, each with its name for a password.
fn users(require: bool, users: &[(&str, &str)]) -> Snapshot {
    let users = users.iter().map(|(name, password)| ((*name).into(), stored(password)));
    Snapshot { credentials: Arc::new(Credentials::new(require, users)), ..trusting(&[]) }
}

/// Connects a user whose password is right.
fn login(b: &mut Broker, connect: &Connect<'_>, user: &str) -> Peer {
    let connect = Connect { user_name: Some(user), password: Some(user.as_bytes()), ..connect.clone() };
    let (peer, mut told) = b.connect_with(&connect);
    let shard = &mut b.shards[usize::from(peer.shard)];
    for check in shard.take_password_checks() {
        shard.handle_password(check.id, PasswordOutcome::Right);
    }
    b.settle();
    told.extend(b.received(peer)); // at once, if it was verified before
    assert!(told[0].contains("Success"));
    peer
}

fn subscriptions(b: &Broker) -> usize {
    b.shards.iter().map(|s| s.census().subscriptions).sum()
}

fn was_put_out(b: &mut Broker, peer: Peer) -> bool {
    let told = b.received(peer);
    let [last] = &told[..] else { return false };
    let closed = b.closed.iter().any(|(p, cause)| p.conn == peer.conn && *cause == CloseCause::NotAccepted);
    last.contains("Disconnect") && last.contains("AdministrativeAction") && closed
}

#[test]
fn subscriptions_that_are_no_longer_allowed_are_withdrawn_by_the_sweep() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let peers: Vec<Peer> = (0..6)
            .map(|i| {
                let (peer, _) = b.durable(&format!("dev{i}"), 100);
                ["a/b", "a/#", "c", "$share/g/a/b", "$share/g/c"].iter().for_each(|f| {
                    assert!(b.subscribe(peer, f, AtLeastOnce)[0].contains("SubAck"));
                });
                if i % 2 == 1 {
                    b.cut(peer);
                }
                peer
            })
            .collect();
        b.install(rules(&[(ReadWrite, "boss", "#"), (Read, "*", "c")]));
        b.settle();
        assert_eq!((subscriptions(&b), b.count(|c| c.subscriptions_withdrawn)), (12, 18));
        b.say(boss, &["a/b", "c"], AtLeastOnce);
        for (i, peer) in peers.into_iter().enumerate() {
            let got = b.received(peer);
            let got = topics(&got);
            let most = if i % 2 == 0 { 2 } else { 0 };
            assert!(got.iter().all(|topic| *topic == "c") && got.len() <= most, "{i}: {got:?}");
        }
        // Rules that allow it again bring nothing back.
        b.install(rules(&[(ReadWrite, "*", "#")]));
        b.settle();
        assert_eq!(subscriptions(&b), 12);
        for census in b.shards.iter().map(Shard::census) {
            assert_eq!((census.work, census.joins, census.credit_messages), (0, 0, 0));
        }
    }
}

/// Each packet and each delivery comes before the sweep.
#[test]
fn what_comes_right_after_an_install_is_judged_by_the_new_snapshot() {
    const NOBODY: &[(crate::policy::rules::Access, &str, &str)] = &[(ReadWrite, "boss", "#")];
    for shards in SHARDS {
        let setting = || {
            let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
            let boss = b.named(Version::V5, "boss");
            b.subscribe(boss, "#", AtMostOnce);
            let dev = b.named(Version::V5, "dev");
            b.subscribe(dev, "a/#", AtMostOnce);
            b.subscribe(dev, "$share/g/s", AtMostOnce);
            b.install(rules(NOBODY));
            (b, boss, dev)
        };
        let (mut b, boss, dev) = setting();
        b.publish(dev, "a/b", "x", AtLeastOnce, false);
        assert!(b.received(dev)[0].contains("NotAuthorized"));
        assert_eq!(b.received(boss), [""; 0]);

        let (mut b, _, dev) = setting();
        assert!(b.subscribe(dev, "a/b", AtMostOnce)[0].contains("135"));
        assert_eq!(subscriptions(&b), 1);

        for topic in ["a/b", "s"] {
            let (mut b, boss, dev) = setting();
            b.say(boss, &[topic], AtMostOnce);
            assert_eq!((b.received(dev).len(), b.received(boss).len()), (0, 1));
            assert_eq!(b.count(|c| c.subscriptions_withdrawn), 2);
        }
    }
}

#[test]
fn a_resumed_session_has_only_the_subscriptions_that_are_allowed() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let (dev, _) = b.durable("dev", 100);
        for filter in ["a/b", "a/c", "$share/g/a/b"] {
            b.subscribe(dev, filter, AtLeastOnce);
        }
        b.cut(dev);
        b.install(rules(&[(ReadWrite, "boss", "#"), (Read, "dev", "a/c")]));
        let (dev, told) = b.durable("dev", 100);
        assert!(told[0].contains("session_present: true"), "{told:?}");
        assert_eq!(subscriptions(&b), 1);
        b.say(boss, &["a/b", "a/c"], AtLeastOnce);
        assert_eq!(topics(&b.received(dev)), ["a/c"]);
    }
}

/// A fan-out that has come half way when the rules change: whoever it has not reached is judged by the new ones.
#[test]
fn a_half_done_fan_out_goes_on_by_the_new_rules() {
    for shards in SHARDS {
        for turns in 1..40 {
            let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
            let boss = b.named(Version::V5, "boss");
            let names: Vec<String> = (0..16).map(|i| format!("{}{i}", ["odd", "even"][i % 2])).collect();
            let peers: Vec<Peer> = names.iter().map(|name| b.named(Version::V5, name)).collect();
            peers.iter().for_each(|peer| drop(b.subscribe(*peer, "a/#", AtMostOnce)));
            let several = b.named(Version::V5, "odd several");
            ["a/#", "a/+"].iter().for_each(|f| drop(b.subscribe(several, f, AtMostOnce)));
            b.shards.iter_mut().for_each(|s| s.set_pace(Pace { appends_per_turn: 2, ..Pace::default() }));
            let shard = usize::from(boss.shard);
            b.shards[shard].handle_bytes(boss.conn, b"\x30\x07\x00\x03a/b\x00x");
            for _ in 0..turns {
                b.turn();
            }
            let early: Vec<usize> = peers.iter().map(|peer| b.received(*peer).len()).collect();
            b.install(rules(&[(ReadWrite, "boss", "#"), (Read, "~even.*", "a/#")]));
            b.settle();
            for ((peer, name), early) in peers.iter().zip(&names).zip(early) {
                let late = b.received(*peer).len();
                let expected = if name.starts_with("odd") { 0 } else { 1 - early };
                assert_eq!(late, expected, "{name} after {turns} turns");
            }
            b.say(boss, &["a/b"], AtMostOnce);
            let got: Vec<usize> = peers.iter().map(|peer| b.received(*peer).len()).collect();
            assert_eq!(got, [0, 1].repeat(8));
            assert_eq!(subscriptions(&b), 8);
            for census in b.shards.iter().map(Shard::census) {
                assert_eq!((census.work, census.credit_messages), (0, 0));
            }
        }
    }
}

/// By the sweep, and by the next packet of their own or of somebody else before it.
#[test]
fn whose_certificate_is_revoked_is_put_out_and_leaves_no_will() {
    for shards in SHARDS {
        for case in 0..4 {
            let mut b = Broker::with(shards, trusting(&[]));
            let watcher = b.connect(Version::V5, "watcher");
            b.subscribe(watcher, "#", AtMostOnce);
            let (dev, _) = b.arrive(named("dev"), &with_will(lasting("dev", 10), "will", 0));
            b.subscribe(dev, "t", AtMostOnce);
            let other = b.named(Version::V5, "other");
            b.subscribe(other, "t", AtMostOnce);
            b.install(trusting(&["dev"]));
            match case {
                0 => b.settle(),
                1 => b.send(dev, &Packet::PingReq),
                2 => b.publish(dev, "t", "mine", AtLeastOnce, false),
                _ => b.publish(other, "t", "others'", AtMostOnce, false),
            }
            assert!(was_put_out(&mut b, dev), "case {case}");
            assert_eq!(b.count(|c| c.expelled), 1);
            let rejected: Vec<String> =
                b.shards.iter().flat_map(|s| s.rejections().map(|r| r.cause.clone())).collect();
            assert!(rejected.len() == 1 && rejected[0].contains("Revoked"), "{rejected:?}");
            let heard = if case == 3 { 1 } else { 0 };
            assert_eq!((b.received(watcher).len(), b.received(other).len()), (heard, heard));
            // Its session is kept and nobody comes in with that certificate.
            assert!(b.arrive(named("dev"), &lasting("dev", 10)).1[0].contains("NotAuthorized"));
            b.pass(2_000);
            assert_eq!(b.received(watcher), [""; 0]);
        }
    }
}

/// The connection is lost, taken over or silent after the install, before anything else has come by.
#[test]
fn who_goes_before_the_sweep_leaves_no_will_either() {
    for shards in SHARDS {
        for case in 0..4 {
            let mut b = Broker::with(shards, users(false, &[("anna", "anna")]));
            let watcher = login(&mut b, &connect(Version::V5, "watcher"), "anna");
            b.subscribe(watcher, "#", AtMostOnce);
            let with_will = with_will(lasting("dev", 10), "will", 0);
            let (dev, new) = match case {
                // Revoked; not encrypted where that is asked for now; without a user name where one is required now.
                0 => (b.arrive(named("dev"), &with_will).0, trusting(&["dev"])),
                1 => (b.connect_with(&with_will).0, users(true, &[("anna", "anna")])),
                2 => (login(&mut b, &with_will, "anna"), users(false, &[("bert", "bert")])),
                _ => {
                    let equals = Snapshot { client_id: ClientIdPolicy::EqualsName, ..trusting(&[]) };
                    (b.connect_with(&with_will).0, equals)
                }
            };
            b.install(new);
            b.shards[usize::from(dev.shard)].handle_end(dev.conn, End::Closed);
            b.settle();
            b.pass(2_000);
            let told = b.received(watcher);
            assert_eq!(topics(&told), [""; 0], "case {case}: {told:?}");
        }
    }
}

#[test]
fn a_delayed_will_of_whom_an_install_puts_out_is_not_published() {
    for shards in SHARDS {
        for (certificate, new) in [(true, trusting(&["dev"])), (false, users(false, &[("bert", "bert")]))] {
            let mut b = Broker::with(shards, users(false, &[("anna", "anna")]));
            let watcher = b.connect(Version::V5, "watcher");
            b.subscribe(watcher, "#", AtMostOnce);
            let with_will = with_will(lasting("dev", 10), "will", 50);
            let dev = if certificate {
                b.arrive(named("dev"), &with_will).0
            } else {
                login(&mut b, &with_will, "anna")
            };
            b.cut(dev);
            b.install(new);
            b.pass(100);
            assert_eq!(b.received(watcher), [""; 0]);
        }
    }
}

#[test]
fn who_has_no_certificate_where_one_is_required_now_is_put_out() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, trusting(&[]));
        let plain = b.connect(Version::V5, "plain");
        let (durable, _) = b.connect_with(&lasting("durable", 10));
        let tls = b.named(Version::V5, "tls");
        b.install(required(trusting(&[])));
        b.send(plain, &Packet::PingReq);
        assert!(was_put_out(&mut b, plain) && was_put_out(&mut b, durable));
        b.send(tls, &Packet::PingReq);
        assert_eq!(b.received(tls), ["PingResp"]);
        let told = b.connect_with(&connect(Version::V5, "plain")).1;
        assert!(told[0].contains("NotAuthorized"), "{told:?}");
        let old = b.arrive(None, &connect(Version::V3_1_1, "old")).1;
        assert!(old[0].contains("NotAuthorized"), "{old:?}");
    }
}

/// A connection that is accepted by one snapshot and says CONNECT after the next.
#[test]
fn connect_is_judged_by_the_snapshot_of_its_last_byte() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, trusting(&[]));
        let home = client_home(&KEY, shards, "dev").0;
        let peer = b.open(home, Version::V5);
        let bytes = connect_bytes(Version::V5, "dev", |_| {});
        b.raw(peer, &bytes[..5]);
        b.install(required(trusting(&[])));
        b.raw(peer, &bytes[5..]);
        assert!(b.received(peer)[0].contains("NotAuthorized"));
    }
}

/// The identifiers of sessions are no secret: who has proved a name keeps them from everybody else.
#[test]
fn a_session_belongs_to_the_name_that_was_proved() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, users(false, &[("anna", "anna"), ("owner", "owner")]));
        let watcher = b.connect(Version::V5, "watcher");
        b.subscribe(watcher, "will", AtMostOnce);
        let (owner, _) = b.arrive(named("owner"), &with_will(lasting("id", 10), "will", 0));
        b.subscribe(owner, "t", AtLeastOnce);
        for clean_start in [false, true] {
            let strangers = [None, named("stranger"), Some(certificate("none", CommonName::None)), named("")];
            for stranger in strangers {
                let connect = Connect { clean_start, ..lasting("id", 10) };
                let (_, told) = b.arrive(stranger, &connect);
                assert!(told[0].contains("ClientIdentifierNotValid"), "{told:?}");
            }
        }
        b.say(watcher, &["t"], AtLeastOnce);
        b.received(watcher);
        assert_eq!(topics(&b.received(owner)), ["t"], "nothing was touched");
        b.cut(owner);
        assert_eq!(b.received(watcher).len(), 1);
        b.say(watcher, &["t"], AtLeastOnce);
        assert!(b.connect_with(&lasting("id", 10)).1[0].contains("ClientIdentifierNotValid"));
        // The name counts, not by what it was proved.
        let again = Connect { user_name: Some("owner"), password: Some(b"owner"), ..lasting("id", 10) };
        let (peer, _) = b.connect_with(&again);
        let shard = &mut b.shards[usize::from(peer.shard)];
        let checks = shard.take_password_checks();
        shard.handle_password(checks[0].id, PasswordOutcome::Right);
        b.settle();
        let told = b.received(peer);
        assert!(told[0].contains("session_present: true") && topics(&told) == ["t", "t"], "{told:?}");
    }
}

#[test]
fn a_session_that_nobody_owns_is_whoevers_comes_with_a_name() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, trusting(&[]));
        let (nobody, _) = b.connect_with(&lasting("id", 10));
        let (owner, told) = b.arrive(named("owner"), &lasting("id", 10));
        assert!(told[0].contains("session_present: true"), "{told:?}");
        assert!(b.received(nobody)[0].contains("SessionTakenOver"));
        assert!(b.connect_with(&lasting("id", 10)).1[0].contains("ClientIdentifierNotValid"), "no way back");
        b.cut(owner);
        b.pass(2_000);
        assert!(b.connect_with(&lasting("id", 10)).1[0].contains("Success"), "that session is over");
    }
}

#[test]
fn client_identifiers_are_held_to_names() {
    use ClientIdPolicy::{Any, EqualsName, StartsWithName};
    for shards in SHARDS {
        for (policy, allowed) in [
            (Any, ["dev", "dev-2", "other", ""].as_slice()),
            (EqualsName, &["dev"]),
            (StartsWithName, &["dev", "dev-2"]),
        ] {
            let mut b = Broker::with(shards, Snapshot { client_id: policy, ..trusting(&[]) });
            for id in ["dev", "dev-2", "other", ""] {
                for (name, owned) in [(named("dev"), true), (None, false)] {
                    let (peer, told) = b.arrive(name, &connect(Version::V5, id));
                    let welcome = policy == Any || (owned && allowed.contains(&id));
                    let expected = if welcome { "Success" } else { "ClientIdentifierNotValid" };
                    assert!(told[0].contains(expected), "{policy:?} {id} {told:?}");
                    b.cut(peer);
                }
            }
        }
        // Also of those who are there already.
        let mut b = Broker::with(shards, trusting(&[]));
        let fits = b.named(Version::V5, "dev");
        let (does_not, _) = b.arrive(named("dev"), &connect(Version::V5, "other"));
        b.install(Snapshot { client_id: EqualsName, ..trusting(&[]) });
        b.settle();
        assert!(was_put_out(&mut b, does_not) && !was_put_out(&mut b, fits));
    }
}

#[test]
fn who_has_no_name_or_several_is_refused_where_rules_need_one() {
    for shards in SHARDS {
        for (needed, snapshot) in [
            (false, trusting(&[])),
            (false, rules(&[(ReadWrite, "*", "#")])),
            (true, rules(&[(ReadWrite, "dev", "#"), (Read, "*", "#")])),
            (true, rules(&[(ReadWrite, "~dev.*", "#")])),
            (true, rules(&[(ReadWrite, "*", "{%client%}/#")])),
        ] {
            let nameless = [CommonName::None, CommonName::Several, CommonName::One("".into())];
            let mut b = Broker::with(shards, snapshot.clone());
            for (n, name) in nameless.iter().enumerate() {
                let id = format!("id{n}");
                let (_, told) = b.arrive(Some(certificate("x", name.clone())), &connect(Version::V5, &id));
                assert!(told[0].contains(if needed { "NotAuthorized" } else { "Success" }), "{told:?}");
            }
            // Without a certificate nobody has to have a name.
            assert!(b.connect_with(&connect(Version::V5, "plain")).1[0].contains("Success"));
            // Those who are there already go when an install needs names.
            let mut b = Broker::with(shards, trusting(&[]));
            let (several, _) = b.arrive(Some(certificate("x", CommonName::Several)), &lasting("id", 1));
            b.install(snapshot);
            b.settle();
            assert_eq!(was_put_out(&mut b, several), needed);
        }
    }
}

/// A name is data: it never becomes topic syntax, whatever it holds.
#[test]
fn names_that_look_like_topics_match_no_topic_pattern() {
    let long = "x".repeat(10_000);
    let names = ["a/b", "+", "#", "a+", "$SYS", "$share", "a\0b", "a\nb", "\u{7f}", "{%client%}", "ä", &long];
    for shards in SHARDS {
        for name in names {
            let usable = matches!(name, "{%client%}" | "ä") || name == long;
            let specific =
                rules(&[(ReadWrite, "boss", "#"), (ReadWrite, "*", "of/{%client%}/t"), (Write, name, "own")]);
            let roomy = limits(|limits| limits.topic_bytes = u16::MAX).limits;
            let mut b = Broker::with(shards, Snapshot { limits: roomy, ..specific });
            let boss = b.named(Version::V5, "boss");
            b.subscribe(boss, "#", AtMostOnce);
            let shown = name.chars().take(12).collect::<String>();
            let (peer, told) = b.arrive(named(name), &connect(Version::V5, "id"));
            assert!(told[0].contains("Success"), "{told:?}");
            for filter in ["of/+/t", "of/#", "of/other/t", "of/a/b/t", "#"] {
                assert!(b.subscribe(peer, filter, AtMostOnce)[0].contains("135"), "{shown:?} {filter}");
            }
            if !name.contains(['+', '#', '\0', '\n', '\u{7f}']) {
                let own = format!("of/{name}/t");
                b.publish(peer, &own, "x", AtMostOnce, false);
                assert_eq!(b.received(boss).len(), usize::from(usable), "{shown:?}");
                let code = b.subscribe(peer, &own, AtMostOnce);
                assert_eq!(code[0].contains("135"), !usable, "{shown:?}");
            }
            // It is the client's name for all that.
            b.received(boss);
            b.publish(peer, "own", "x", AtMostOnce, false);
            assert_eq!(b.received(boss), ["own q0 id0 x"]);
        }
    }
}

#[test]
fn user_names_are_names_where_rules_apply_to_them() {
    for shards in SHARDS {
        for names in [ClientNames::Certificates, ClientNames::CertificatesAndUsers] {
            let with_rules = rules(&[(ReadWrite, "boss", "#"), (Write, "anna", "t")]);
            let anna = users(false, &[("anna", "anna"), ("boss", "boss")]);
            let mut b = Broker::with(shards, Snapshot { rules: with_rules.rules, names, ..anna });
            let boss = b.named(Version::V5, "boss");
            b.subscribe(boss, "#", AtMostOnce);
            let anna = login(&mut b, &connect(Version::V5, "dev"), "anna");
            b.publish(anna, "t", "x", AtLeastOnce, false);
            let counts = names == ClientNames::CertificatesAndUsers;
            assert_eq!(b.received(boss).len(), usize::from(counts));
            assert_eq!(b.received(anna)[0].contains("NotAuthorized"), !counts);
            let nobody = b.connect(Version::V5, "nobody");
            b.publish(nobody, "t", "x", AtLeastOnce, false);
            assert!(b.received(nobody)[0].contains(&format!("{:?}", ReasonCode::NotAuthorized)));
        }
    }
}

#[test]
fn no_rules_at_all_refuse_everything_and_none_that_apply_nothing() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[]));
        let dev = b.named(Version::V5, "dev");
        assert!(b.subscribe(dev, "#", AtMostOnce)[0].contains("135"));
        b.publish(dev, "t", "x", AtLeastOnce, false);
        assert!(b.received(dev)[0].contains("NotAuthorized"));
        b.install(trusting(&[]));
        assert!(b.subscribe(dev, "#", AtMostOnce)[0].contains("codes: [0]"));
        b.publish(dev, "t", "x", AtLeastOnce, false);
        assert_eq!(b.received(dev).len(), 2);
        // Denied to one is not denied to all.
        b.install(rules(&[(Deny, "dev", "t"), (ReadWrite, "*", "#")]));
        b.publish(dev, "t", "x", AtLeastOnce, false);
        assert_eq!(b.received(dev).len(), 1);
    }
}

/// Retained messages that are on their way to a new subscription when the rules change.
#[test]
fn a_replay_is_judged_when_it_arrives() {
    for shards in SHARDS {
        for turns in 0..6 {
            let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
            b.shards.iter_mut().for_each(|s| s.set_pace(Pace { replay_batch: 1, ..Pace::default() }));
            let boss = b.named(Version::V5, "boss");
            (0..8).for_each(|i| b.publish(boss, &format!("a/{i}"), "x", AtMostOnce, true));
            let dev = b.named(Version::V5, "dev");
            let shard = usize::from(dev.shard);
            b.shards[shard].handle_bytes(dev.conn, b"\x82\x09\x00\x01\x00\x00\x03a/#\x00");
            for _ in 0..turns {
                b.turn();
            }
            b.received(dev);
            b.install(rules(&[(ReadWrite, "boss", "#"), (Deny, "*", "a/+"), (Read, "*", "a/#")]));
            b.settle();
            assert_eq!(topics(&b.received(dev)), [""; 0], "after {turns} turns");
            assert_eq!(subscriptions(&b), 1);
        }
    }
}

/// What waits until the output has been taken.
#[test]
fn what_goes_out_after_a_flush_is_judged_then() {
    let narrow =
        |snapshot| Snapshot { limits: limits(|limits| limits.output_bytes = 100).limits, ..snapshot };
    let mut b = Broker::with(1, narrow(rules(&[(ReadWrite, "*", "#")])));
    let boss = b.named(Version::V5, "boss");
    let (dev, _) = b.durable("dev", 100);
    b.subscribe(dev, "a/#", AtLeastOnce);
    for i in 0..5 {
        let publish = format!("\x32\x48\0\x03a/{i}\0\x01\0{}", "x".repeat(64));
        b.shards[0].handle_bytes(boss.conn, publish.as_bytes());
    }
    b.shards[0].work();
    let before = b.shards[0].output(dev.conn).len();
    assert!(before > 100 && before < 300, "{before}");
    b.install(rules(&[(ReadWrite, "boss", "#")]));
    let mut after = 0;
    while let Some(conn) = b.shards[0].next_dirty() {
        let all = b.shards[0].output(conn).len();
        after += if conn == dev.conn { all } else { 0 };
        b.shards[0].handle_sent(conn, all);
    }
    assert_eq!(after, before);
}

/// What moves from one member of a share to another when the rules change.
#[test]
fn what_moves_between_members_is_judged_when_it_arrives() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let (first, _) = b.durable("first", 1);
        b.subscribe(first, "$share/g/a/+", AtLeastOnce);
        b.say(boss, &["a/b"; 4], AtLeastOnce);
        assert_eq!(b.received(first).len(), 1);
        let second = b.named(Version::V5, "second");
        let third = b.named(Version::V5, "third");
        for peer in [second, third] {
            assert!(b.subscribe(peer, "$share/g/a/+", AtLeastOnce)[0].contains("SubAck"));
        }
        b.shards[usize::from(first.shard)].handle_end(first.conn, End::Closed);
        b.install(rules(&[(ReadWrite, "boss", "#"), (Read, "~third|first", "a/#")]));
        b.settle();
        assert_eq!((b.received(second).len(), b.received(third).len()), (0, 3));
    }
}

/// A member of a share that may no longer read what waits for it: another one gets it.
#[test]
fn what_waits_for_a_member_that_may_not_read_it_goes_to_another() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let boss = b.named(Version::V5, "boss");
        let (blind, _) = b.durable("blind", 1);
        b.subscribe(blind, "$share/g/a/+", AtLeastOnce);
        b.say(boss, &["a/ok", "a/secret", "a/ok", "a/secret"], AtLeastOnce);
        assert_eq!(topics(&b.received(blind)), ["a/ok"]);
        let other = b.named(Version::V5, "other");
        b.subscribe(other, "$share/g/a/+", AtLeastOnce);
        b.install(rules(&[(Deny, "blind", "a/secret"), (ReadWrite, "*", "#")]));
        b.ack(blind, 1, Packet::PubAck);
        assert_eq!(topics(&b.received(blind)), ["a/ok"]);
        b.ack(blind, 3, Packet::PubAck);
        assert_eq!(topics(&b.received(other)), ["a/secret"; 2]);
        // With nobody else it is dropped and counted.
        b.cut(other);
        b.settle();
        for census in b.shards.iter().map(Shard::census) {
            assert_eq!((census.work, census.credit_messages, census.backlog_messages), (0, 0, 0));
        }
    }
}

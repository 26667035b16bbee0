//! Passwords: verified elsewhere, answered late, in another order or never, with takeovers and Applies in between.

use super::court::{at_home, bytes_of};
use super::*;
use crate::mqtt::connect::Will;
use crate::mqtt::connect::WillProperties;
use crate::policy::credentials::tests::stored;
use crate::policy::{Credentials, ProvedUser};

use PasswordOutcome as Outcome;

/// Users, each with a password of which only the name is stored.
fn with_users(require: bool, users: &[(&str, &str)]) -> Snapshot {
    let users = users.iter().map(|(name, password)| ((*name).into(), stored(password)));
    let credentials = Arc::new(Credentials::new(require, users));
    Snapshot { credentials, ..limits(|_| {}) }
}

fn apply(b: &mut Broker, generation: u64, snapshot: Snapshot) {
    let generation = crate::policy::Generation(generation);
    let snapshot = Arc::new(Snapshot { generation, ..snapshot });
    b.shards.iter_mut().for_each(|shard| shard.install(snapshot.clone()));
    b.settle();
}

fn login<'a>(version: Version, client_id: &'a str, user: &'a str, password: &'a str) -> Connect<'a> {
    Connect { user_name: Some(user), password: Some(password.as_bytes()), ..connect(version, client_id) }
}

/// Sends CONNECT, and nothing has come back.
fn begin(b: &mut Broker, connect: &Connect<'_>) -> Peer {
    let (peer, told) = b.connect_with(connect);
    assert_eq!(told, [""; 0], "it waits");
    peer
}

fn checks(b: &mut Broker) -> Vec<PasswordCheck> {
    b.shards[0].take_password_checks()
}

/// As the pool would.
fn right_or_wrong(check: &PasswordCheck) -> Outcome {
    let password = std::str::from_utf8(&check.password).expect("tests use text");
    if check.exists && check.stored == stored(password) { Outcome::Right } else { Outcome::Wrong }
}

fn answer(b: &mut Broker, check: &PasswordCheck) {
    answer_with(b, check, right_or_wrong(check));
}

fn answer_with(b: &mut Broker, check: &PasswordCheck, outcome: Outcome) {
    b.shards[0].handle_password(check.id, outcome);
    b.settle();
}

/// What a client has proved by a password.
fn user(b: &Broker, peer: Peer) -> Option<ProvedUser> {
    let client = b.shards[0].client_of(peer.conn).expect("connected");
    b.shards[0].clients[client].standing.principal.as_deref().and_then(|p| p.user.clone())
}

/// Answers until nothing is asked. How many checks that were.
fn answer_all(b: &mut Broker) -> usize {
    let mut answered = 0;
    loop {
        let checks = checks(b);
        if checks.is_empty() {
            return answered;
        }
        checks.iter().for_each(|check| answer(b, check));
        answered += checks.len();
    }
}

fn code(told: &[String]) -> &str {
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, after) = told[0].split_once("reason: ").expect("a CONNACK");
    after.split([',', ' ']).next().expect("a name")
}

#[test]
fn a_right_password_is_let_in_and_a_wrong_one_is_not() {
    for (version, wrong, missing, limited) in [
        (Version::V5, "BadUserNameOrPassword", "NotAuthorized", "ConnectionRateExceeded"),
        (Version::V3_1_1, "BadUserNameOrPassword", "NotAuthorized", "ServerUnavailable"),
        (Version::V3_1, "BadUserNameOrPassword", "NotAuthorized", "ServerUnavailable"),
    ] {
        for require in [false, true] {
            let mut b = Broker::with(1, with_users(require, &[("anna", "secret")]));
            let told = |b: &mut Broker, user, password, outcome: Option<Outcome>| {
                let peer = begin(b, &login(version, "id", user, password));
                let checks = checks(b);
                let [check] = &checks[..] else { panic!("{checks:?}") };
                answer_with(b, check, outcome.unwrap_or(right_or_wrong(check)));
                let told = b.received(peer);
                if told[0].contains("Success") {
                    b.cut(peer);
                }
                told
            };
            assert_eq!(code(&told(&mut b, "anna", "Secret", None)), wrong);
            assert_eq!(code(&told(&mut b, "nobody", "secret", None)), wrong);
            assert_eq!(
                code(&told(&mut b, "nobody", "secret", Some(Outcome::Right))),
                wrong,
                "whatever is said"
            );
            assert_eq!(code(&told(&mut b, "anna", "guess", Some(Outcome::Limited))), limited);
            assert_eq!(b.shards[0].census().sessions, 0);
            assert_eq!(code(&told(&mut b, "anna", "secret", None)), "Success");
            // Half of the credentials is wrong, none are missing.
            let half = Connect { user_name: Some("anna"), ..connect(version, "id") };
            assert_eq!(code(&b.connect_with(&half).1), wrong);
            let none = b.connect_with(&connect(version, "id")).1;
            assert_eq!(code(&none), if require { missing } else { "Success" });
            assert_eq!(answer_all(&mut b), 0, "none of that needs a check");
        }
    }
}

#[test]
fn a_password_alone_is_wrong_once_there_are_users() {
    let alone = Connect { password: Some(b"secret"), ..connect(Version::V5, "id") };
    for require in [false, true] {
        let mut b = Broker::with(1, with_users(require, &[("anna", "secret")]));
        assert_eq!(code(&b.connect_with(&alone).1), "BadUserNameOrPassword");
    }
    let mut b = Broker::new(1);
    assert_eq!(code(&b.connect_with(&alone).1), "Success");
}

#[test]
fn without_users_what_is_sent_is_not_looked_at() {
    let mut b = Broker::new(1);
    let (_, told) = b.connect_with(&login(Version::V3_1_1, "id", "anna", "secret"));
    assert_eq!(code(&told), "Success");
    let mut b = Broker::with(1, with_users(true, &[]));
    let (_, told) = b.connect_with(&login(Version::V3_1_1, "id", "anna", "secret"));
    assert_eq!(code(&told), "BadUserNameOrPassword");
}

#[test]
fn who_is_proved_is_known_by_which_stored_password() {
    let mut b = Broker::with(1, with_users(false, &[("anna", "secret")]));
    let peer = begin(&mut b, &login(Version::V5, "a", "anna", "secret"));
    answer_all(&mut b);
    let anonymous = b.connect(Version::V5, "b");
    assert_eq!(user(&b, peer), Some(ProvedUser { name: "anna".into(), proof: stored("secret").proof() }));
    assert_eq!(user(&b, anonymous), None);
}

/// [MQTT-3.1.4-5]: what follows CONNECT waits with it, in order, and is dropped when the CONNECT is refused.
#[test]
fn nothing_that_follows_is_processed_before_the_client_is_accepted() {
    for password in ["secret", "wrong"] {
        let mut b = Broker::with(1, with_users(false, &[("anna", "secret")]));
        let s = b.connect(Version::V5, "subscriber");
        b.subscribe(s, "#", QoS::AtMostOnce);
        let peer = b.open(0, Version::V5);
        let connect = bytes_of(Version::V5, &Packet::Connect(login(Version::V5, "p", "anna", password)));
        let publish = b"\x30\x05\x00\x01t\x00x";
        // In one piece with the CONNECT, half a packet later, and the rest of it.
        b.raw(peer, &[&connect[..], publish, &publish[..3]].concat());
        b.raw(peer, &publish[3..]);
        b.raw(peer, b"\xC0\x00");
        assert_eq!((b.received(peer), b.received(s)), (vec![], vec![]));
        assert_eq!(b.shards[0].census().sessions, 1);
        answer_all(&mut b);
        if password == "secret" {
            let told = b.received(peer);
            assert!(told.len() == 2 && told[0].contains("Success") && told[1] == "PingResp", "{told:?}");
            assert_eq!(b.received(s), ["t q0 id0 x"; 2]);
            b.publish(peer, "t", "y", QoS::AtMostOnce, false);
            assert_eq!(b.received(s), ["t q0 id0 y"]);
        } else {
            assert_eq!(code(&b.received(peer)), "BadUserNameOrPassword");
            assert_eq!(b.received(s), [""; 0]);
            assert_eq!(b.closed.len(), 1);
        }
    }
}

#[test]
fn a_connection_is_not_read_while_its_password_is_verified() {
    let mut b = Broker::with(1, with_users(false, &[("anna", "secret")]));
    let peer = b.open(0, Version::V5);
    let connect = bytes_of(Version::V5, &Packet::Connect(login(Version::V5, "p", "anna", "secret")));
    b.shards[0].handle_bytes(peer.conn, &connect);
    assert_eq!(b.shards[0].poll_effect(), Some(Effect::Pause(peer.conn)));
    let checks = checks(&mut b);
    b.shards[0].handle_password(checks[0].id, Outcome::Right);
    b.shards[0].work();
    assert_eq!(b.shards[0].poll_effect(), Some(Effect::Resume(peer.conn)));
    assert_eq!(b.shards[0].poll_effect(), None);
    assert!(b.shards[0].connections[peer.conn.index as usize].partial.is_empty());
}

/// The session under that identifier, its connection and its will are touched only by who was proved.
#[test]
fn a_takeover_happens_when_the_password_is_verified_and_not_before() {
    let mut b = Broker::with(1, with_users(false, &[("anna", "secret")]));
    let s = b.connect(Version::V5, "subscriber");
    b.subscribe(s, "will", QoS::AtMostOnce);
    let mut first = login(Version::V5, "id", "anna", "secret");
    first.will = Some(Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "will",
        payload: b"w",
        properties: WillProperties::default(),
    });
    first.properties.session_expiry_secs = Some(100);
    let running = begin(&mut b, &first);
    answer_all(&mut b);
    assert_eq!(code(&b.received(running)), "Success");
    // The wrong one, for as long as it may take.
    let wrong = begin(&mut b, &login(Version::V5, "id", "anna", "wrong"));
    b.ack(running, 1, Packet::PubAck);
    assert_eq!((b.received(running), b.received(s)), (vec![], vec![]));
    answer_all(&mut b);
    assert_eq!(code(&b.received(wrong)), "BadUserNameOrPassword");
    assert_eq!((b.received(running), b.received(s)), (vec![], vec![]), "nothing was touched");
    // Somebody else, rightly: the session is anna's.
    apply(&mut b, 1, with_users(false, &[("anna", "secret"), ("bert", "geheim")]));
    let by_bert = begin(&mut b, &login(Version::V5, "id", "bert", "geheim"));
    answer_all(&mut b);
    assert_eq!(code(&b.received(by_bert)), "ClientIdentifierNotValid");
    assert_eq!((b.received(running), b.received(s)), (vec![], vec![]), "nothing was touched");
    // Anna, from the cache.
    let (_, told) = b.connect_with(&login(Version::V5, "id", "anna", "secret"));
    assert_eq!(code(&told), "Success");
    assert!(b.received(running)[0].contains("SessionTakenOver"));
    assert_eq!(b.received(s), ["will q0 id0 w"]);
    assert_eq!(b.shards[0].census().sessions, 2);
}

/// Who waits in the end takes over who did not wait as long.
#[test]
fn of_two_that_wait_under_one_identifier_the_later_one_stays() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    let peers = [(), ()].map(|()| begin(&mut b, &login(Version::V5, "id", "anna", "secret")));
    assert_eq!(answer_all(&mut b), 1);
    let told = b.received(peers[0]);
    assert!(told.len() == 2 && told[1].contains("SessionTakenOver"), "{told:?}");
    assert_eq!(code(&b.received(peers[1])), "Success");
}

#[test]
fn answers_may_come_in_any_order() {
    let users: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    let users: Vec<(&str, &str)> = users.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let mut b = Broker::with(1, with_users(true, &users));
    let peers: Vec<Peer> =
        users.iter().map(|(user, _)| begin(&mut b, &login(Version::V5, user, user, user))).collect();
    let checks = checks(&mut b);
    for at in [3, 0, 5, 1, 4, 2] {
        answer(&mut b, &checks[at]);
        for (n, peer) in peers.iter().enumerate() {
            assert_eq!(b.received(*peer).len(), usize::from(n == at), "{at} {n}");
        }
        answer(&mut b, &checks[at]); // once more: nobody asks
    }
    assert_eq!(b.shards[0].census().connected, 6);
}

#[test]
fn a_password_that_was_verified_is_not_verified_again() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    let peers: Vec<Peer> =
        ["a", "b", "c"].map(|id| begin(&mut b, &login(Version::V5, id, "anna", "secret"))).into();
    assert_eq!(answer_all(&mut b), 1, "one for all who came meanwhile");
    for peer in peers {
        assert_eq!(code(&b.received(peer)), "Success");
    }
    let (_, told) = b.connect_with(&login(Version::V3_1_1, "d", "anna", "secret"));
    assert_eq!(code(&told), "Success");
    assert_eq!(answer_all(&mut b), 0);
    begin(&mut b, &login(Version::V5, "e", "anna", "Secret"));
    begin(&mut b, &login(Version::V5, "f", "Anna", "secret"));
    assert_eq!(answer_all(&mut b), 2, "another password, another user");
}

/// Addresses have their own failures, whoever asks for the same credentials.
#[test]
fn that_one_address_is_limited_refuses_no_other() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    let bytes = |id| bytes_of(Version::V5, &Packet::Connect(login(Version::V5, id, "anna", "secret")));
    let from = |b: &mut Broker, index, id, peer: &str| {
        let conn = ConnId { index, generation: 1 };
        let opened = Opened::plain(peer.parse().expect("an address"), 0, b.now.after_secs(10));
        b.shards[0].handle_open(conn, opened);
        b.shards[0].handle_bytes(conn, &bytes(id));
        b.settle();
        Peer { shard: 0, conn, version: Version::V5 }
    };
    let bad = from(&mut b, 1, "bad", "192.0.2.1:1");
    let same = from(&mut b, 2, "same", "192.0.2.1:2");
    let good = from(&mut b, 3, "good", "192.0.2.2:1");
    let asked = checks(&mut b);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].peer.to_string(), "192.0.2.1");
    answer_with(&mut b, &asked[0], Outcome::Limited);
    for peer in [bad, same] {
        assert_eq!(code(&b.received(peer)), "ConnectionRateExceeded");
    }
    let asked = checks(&mut b);
    assert_eq!(asked[0].peer.to_string(), "192.0.2.2");
    answer(&mut b, &asked[0]);
    assert_eq!(code(&b.received(good)), "Success");
    // In the cache: limited or not.
    let late = from(&mut b, 4, "late", "192.0.2.1:3");
    assert_eq!(code(&b.received(late)), "Success");
}

#[test]
fn an_answer_that_never_comes_is_waited_for_as_long_as_for_connect() {
    for (version, reason) in [(Version::V5, "ServerBusy"), (Version::V3_1_1, "ServerUnavailable")] {
        let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
        let peer = begin(&mut b, &login(version, "id", "anna", "secret"));
        let asked = checks(&mut b);
        b.pass(9);
        assert_eq!(b.received(peer), [""; 0]);
        b.pass(2);
        assert_eq!(code(&b.received(peer)), reason);
        assert_eq!(b.shards[0].counters().refusals[&crate::mqtt::ReasonCode::ServerBusy], 1);
        // Then it comes: nobody is hurt, and the next one need not ask.
        answer(&mut b, &asked[0]);
        let census = b.shards[0].census();
        assert_eq!((census.connections, census.sessions, census.password_checks), (0, 0, 0));
        assert_eq!(code(&b.connect_with(&login(version, "id", "anna", "secret")).1), "Success");
    }
}

#[test]
fn a_peer_that_leaves_meanwhile_leaves_nothing() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret"), ("bert", "geheim")]));
    let s = begin(&mut b, &login(Version::V5, "subscriber", "bert", "geheim"));
    answer_all(&mut b);
    b.subscribe(s, "#", QoS::AtMostOnce);
    b.received(s);
    let peer = b.open(0, Version::V5);
    let connect = bytes_of(Version::V5, &Packet::Connect(login(Version::V5, "id", "anna", "secret")));
    b.raw(peer, &[&connect[..], b"\x30\x05\x00\x01t\x00x"].concat());
    let asked = checks(&mut b);
    b.cut(peer);
    assert_eq!(b.shards[0].census().connections, 1);
    // Somebody else sits there by the time of the answer, with a CONNECT of its own that waits.
    let conn = ConnId { index: peer.conn.index, generation: peer.conn.generation + 1 };
    let opened = Opened::plain("127.0.0.1:1".parse().expect("an address"), 0, b.now.after_secs(10));
    b.shards[0].handle_open(conn, opened);
    let next = Peer { conn, ..peer };
    b.send(next, &Packet::Connect(login(Version::V5, "next", "anna", "wrong")));
    answer(&mut b, &asked[0]);
    assert_eq!((b.received(next), b.received(s)), (vec![], vec![]));
    assert_eq!(b.shards[0].census().sessions, 1);
    answer_all(&mut b);
    assert_eq!(code(&b.received(next)), "BadUserNameOrPassword");
    assert_eq!(b.received(s), [""; 0]);
}

#[test]
fn a_peer_that_leaves_between_the_answer_and_its_turn_was_not_accepted() {
    let mut b = Broker::with(1, with_users(false, &[("anna", "secret")]));
    let s = b.connect(Version::V5, "subscriber");
    b.subscribe(s, "#", QoS::AtMostOnce);
    let peer = b.open(0, Version::V5);
    let connect = bytes_of(Version::V5, &Packet::Connect(login(Version::V5, "id", "anna", "secret")));
    b.raw(peer, &[&connect[..], b"\x30\x05\x00\x01t\x00x"].concat());
    let asked = checks(&mut b);
    b.shards[0].handle_password(asked[0].id, Outcome::Right);
    b.cut(peer);
    assert_eq!(b.received(s), [""; 0]);
    let census = b.shards[0].census();
    assert_eq!((census.connections, census.sessions), (1, 1));
}

#[test]
fn stopping_ends_who_waits() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    begin(&mut b, &login(Version::V5, "id", "anna", "secret"));
    let asked = checks(&mut b);
    b.shards[0].stop();
    b.settle();
    assert_eq!(b.shards[0].census().connections, 0);
    answer(&mut b, &asked[0]);
    assert_eq!(b.shards[0].census().sessions, 0);
}

/// No more are under way than the pool has room for; the rest wait here, and those that leave are not asked for.
#[test]
fn there_is_room_for_so_many_checks() {
    let many = 3 * CHECKS_UNDER_WAY;
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    let names: Vec<String> = (0..many).map(|n| format!("user{n}")).collect();
    let peers: Vec<Peer> =
        names.iter().map(|name| begin(&mut b, &login(Version::V5, name, name, "x"))).collect();
    let mut asked = checks(&mut b);
    assert_eq!(asked.len(), CHECKS_UNDER_WAY);
    for peer in &peers[CHECKS_UNDER_WAY..2 * CHECKS_UNDER_WAY] {
        b.cut(*peer);
    }
    let mut order = Vec::new();
    while let Some(check) = (!asked.is_empty()).then(|| asked.remove(0)) {
        order.push(check.user.to_string());
        answer(&mut b, &check);
        asked.extend(checks(&mut b));
        assert!(asked.len() <= CHECKS_UNDER_WAY);
    }
    let expected = [&names[..CHECKS_UNDER_WAY], &names[2 * CHECKS_UNDER_WAY..]].concat();
    assert_eq!(order, expected, "in the order in which they came");
    assert_eq!(b.shards[0].census().connections, 0);
}

/// Who waits for room asks for nothing when somebody else's answer serves.
#[test]
fn who_waits_for_room_need_not_ask_for_what_is_known_by_then() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    let names: Vec<String> = (0..CHECKS_UNDER_WAY).map(|n| format!("user{n}")).collect();
    for name in &names {
        begin(&mut b, &login(Version::V5, name, name, "x"));
    }
    let ids: Vec<String> = (0..1_000).map(|n| format!("client{n}")).collect();
    let herd: Vec<Peer> =
        ids.iter().map(|id| begin(&mut b, &login(Version::V5, id, "anna", "secret"))).collect();
    assert_eq!(answer_all(&mut b), CHECKS_UNDER_WAY + 1);
    for peer in herd {
        assert_eq!(code(&b.received(peer)), "Success");
    }
}

/// However many come and go while nothing is answered, little is kept of them.
#[test]
fn a_storm_of_connects_that_leave_is_forgotten() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    for n in 0..2_000 {
        // Half of them ask for the same.
        let user = format!("user{}", n % 2 * n);
        let peer = begin(&mut b, &login(Version::V5, "id", &user, "x"));
        b.cut(peer);
    }
    let verifying = &b.shards[0].verifying;
    assert!(verifying.waiting() <= CHECKS_UNDER_WAY * 2 + 64 * 2, "{}", verifying.waiting());
    answer_all(&mut b);
    assert_eq!(b.shards[0].verifying.waiting(), 0);
}

/// A check that began before an Apply decides nothing about another password than the one it was made for.
#[test]
fn a_password_that_is_changed_meanwhile_is_verified_again() {
    for (now, told) in [("secret", "Success"), ("other", "BadUserNameOrPassword")] {
        let mut b = Broker::with(1, with_users(true, &[("anna", "secret"), ("bert", "geheim")]));
        let peer = begin(&mut b, &login(Version::V5, "id", "anna", "secret"));
        let asked = checks(&mut b);
        apply(&mut b, 1, with_users(true, &[("anna", now)]));
        answer(&mut b, &asked[0]);
        if now == "secret" {
            // Unchanged: the answer holds for who waited for it, and fills no cache.
            assert_eq!(code(&b.received(peer)), told);
            assert!(b.shards[0].verifying.knows_nobody());
        } else {
            assert_eq!(b.received(peer), [""; 0]);
            assert!(b.shards[0].verifying.knows_nobody());
            assert_eq!(answer_all(&mut b), 1);
            assert_eq!(code(&b.received(peer)), told);
        }
    }
}

#[test]
fn a_user_who_goes_or_comes_meanwhile_is_judged_by_what_holds_then() {
    // Gone: as if there had never been such a user.
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret"), ("bert", "geheim")]));
    let peer = begin(&mut b, &login(Version::V5, "id", "anna", "secret"));
    let asked = checks(&mut b);
    apply(&mut b, 1, with_users(true, &[("bert", "geheim")]));
    answer(&mut b, &asked[0]);
    let again = checks(&mut b);
    assert!(!again[0].exists);
    answer(&mut b, &again[0]);
    assert_eq!(code(&b.received(peer)), "BadUserNameOrPassword");
    // Here now.
    let peer = begin(&mut b, &login(Version::V5, "id", "carl", "neu"));
    let asked = checks(&mut b);
    apply(&mut b, 2, with_users(true, &[("bert", "geheim"), ("carl", "neu")]));
    answer(&mut b, &asked[0]);
    assert_eq!(answer_all(&mut b), 1);
    assert_eq!(code(&b.received(peer)), "Success");
    // And nobody asks any more: what is sent is not looked at.
    let peer = begin(&mut b, &login(Version::V5, "id2", "dora", "x"));
    let asked = checks(&mut b);
    apply(&mut b, 3, with_users(false, &[]));
    answer(&mut b, &asked[0]);
    assert_eq!(code(&b.received(peer)), "Success");
    assert_eq!(user(&b, peer), None);
    b.send(peer, &Packet::PingReq);
    assert_eq!(b.received(peer), ["PingResp"]);
}

#[test]
fn an_apply_evicts_who_has_another_password_and_nobody_else() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret"), ("bert", "geheim"), ("carl", "neu")]));
    let users = [("anna", "secret"), ("bert", "geheim"), ("carl", "neu")];
    for (user, password) in users {
        begin(&mut b, &login(Version::V5, user, user, password));
    }
    assert_eq!(answer_all(&mut b), 3);
    apply(&mut b, 1, with_users(true, &[("anna", "secret"), ("bert", "neu")]));
    for (user, password) in users {
        b.connect_with(&login(Version::V5, user, user, password));
    }
    let asked: Vec<String> = checks(&mut b).iter().map(|check| check.user.to_string()).collect();
    assert_eq!(asked, ["bert", "carl"]);
    // The old password back: verified again all the same.
    apply(&mut b, 2, with_users(true, &users));
    begin(&mut b, &login(Version::V5, "carl", "carl", "neu"));
}

/// As far as the shard's sweep goes: whoever does nothing is put out too, and without a will.
#[test]
fn an_apply_puts_out_who_is_gone_has_another_password_or_none_where_one_is_required() {
    let users = [("anna", "secret"), ("bert", "geheim"), ("carl", "neu")];
    let mut b = Broker::with(1, with_users(false, &users));
    let peers = users.map(|(user, password)| begin(&mut b, &login(Version::V5, user, user, password)));
    assert_eq!(answer_all(&mut b), 3);
    let anonymous = b.connect(Version::V5, "nobody");
    peers.iter().for_each(|peer| assert_eq!(code(&b.received(*peer)), "Success"));
    apply(&mut b, 1, with_users(false, &[("anna", "secret"), ("bert", "other")]));
    let told = |b: &mut Broker, peer: Peer| b.received(peer).concat();
    assert!(told(&mut b, peers[1]).contains("AdministrativeAction"), "another password");
    assert!(told(&mut b, peers[2]).contains("AdministrativeAction"), "gone");
    assert_eq!(told(&mut b, peers[0]) + &told(&mut b, anonymous), "");
    apply(&mut b, 2, with_users(true, &[("anna", "secret")]));
    assert!(told(&mut b, anonymous).contains("AdministrativeAction"), "required now");
    assert_eq!(told(&mut b, peers[0]), "");
    assert_eq!(b.shards[0].census().connected, 1);
}

#[test]
fn each_shard_asks_for_its_own_clients() {
    let mut b = Broker::with(2, with_users(true, &[("anna", "secret")]));
    for shard in 0..2 {
        let id = at_home(2, shard, "id");
        begin(&mut b, &login(Version::V5, &id, "anna", "secret"));
        let asked = b.shards[usize::from(shard)].take_password_checks();
        assert_eq!(asked.len(), 1);
        b.shards[usize::from(shard)].handle_password(asked[0].id, Outcome::Right);
        b.settle();
        assert_eq!(b.shards[usize::from(shard)].census().connected, 1);
    }
}

#[test]
fn a_check_does_not_show_its_password() {
    let mut b = Broker::with(1, with_users(true, &[("anna", "secret")]));
    begin(&mut b, &login(Version::V5, "id", "anna", "secret"));
    let shown = format!("{:?} {:?}", checks(&mut b), b.shards[0].verifying);
    assert!(shown.contains("anna") && !shown.contains("secret") && !shown.contains("argon2"), "{shown}");
}

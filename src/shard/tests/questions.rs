//! What whoever runs the broker asks of a shard, and does to its clients.

use super::*;
use crate::mqtt::connect::Will;
use crate::mqtt::property::Property;

fn ids(rows: &[ClientRow]) -> Vec<&str> {
    rows.iter().map(|row| &*row.client_id).collect()
}

/// All parts of an answer, each of which looks at two entries.
fn all<Row, Place>(mut from: Place, mut ask: impl FnMut(Place) -> Looked<Row, Place>) -> Vec<Row> {
    let mut rows = Vec::new();
    for _ in 0..1_000 {
        let looked = ask(from);
        rows.extend(looked.rows);
        match looked.next {
            Some(next) => from = next,
            None => return rows,
        }
    }
    panic!("an answer ends");
}

fn small_parts(b: &mut Broker) {
    b.shards.iter_mut().for_each(|s| s.set_pace(Pace { looked_at: 2, ..Pace::default() }));
}

#[test]
fn clients_are_found_in_parts_each_once() {
    let mut b = Broker::new(1);
    small_parts(&mut b);
    for n in 0..9 {
        b.connect(Version::V5, &format!("device-{n}"));
    }
    let away = b.connect_with(&Connect { clean_start: false, ..connect(Version::V3_1_1, "Sleeper") }).0;
    b.cut(away);
    let gone = b.connect(Version::V5, "gone");
    b.cut(gone);
    let ask = |query: &ClientQuery| all(0, |from| b.shards[0].clients(query, from, 3));
    assert_eq!(ask(&ClientQuery::default()).len(), 10);
    let of = |text: &str, state| ask(&ClientQuery { text: text.to_owned(), state, ..ClientQuery::default() });
    assert_eq!(ids(&of("DEVICE-7", StateFilter::Any)), ["device-7"]);
    assert_eq!(ids(&of("sleep", StateFilter::Any)), ["Sleeper"]);
    assert_eq!(of("", StateFilter::Connected).len(), 9);
    let [sleeper] = &of("", StateFilter::Disconnected)[..] else { panic!("one is away") };
    let ends = 1 + u64::from(sleeper.session_expiry_secs);
    let state = ClientState::Disconnected { since_unix_secs: 1, session_ends_unix_secs: ends };
    assert_eq!((&*sleeper.client_id, sleeper.version, &sleeper.state), ("Sleeper", Version::V3_1_1, &state));
    assert_eq!(of("nobody", StateFilter::Any), []);
}

#[test]
fn a_client_is_told_whole() {
    let mut b = Broker::new(1);
    let will = Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Default::default(),
    };
    let asked = Connect { keep_alive_secs: 60, will: Some(will), ..connect(Version::V5, "client") };
    let (peer, _) = b.connect_with(&asked);
    b.subscribe(peer, "a/+", QoS::AtLeastOnce);
    b.subscribe(peer, "$share/group/b", QoS::AtMostOnce);
    b.pass(5);
    b.publish(peer, "a/b", "one", QoS::AtLeastOnce, false);
    let row = b.shards[0].client("client").expect("it is there");
    assert_eq!((row.subscriptions, row.in_flight, row.has_will), (2, 1, true));
    let ClientState::Connected(connection) = row.state else { panic!("it is connected") };
    assert_eq!((connection.keep_alive_secs, connection.clean_start), (60, true));
    assert_eq!((connection.connected_unix_secs, connection.last_packet_unix_secs), (1, 6));
    assert_eq!(connection.messages_received, 1);
    let mut bytes = Vec::new();
    Packet::Connect(asked).encode(Version::V5, &mut bytes);
    assert!(connection.bytes_received > bytes.len() as u64 && connection.bytes_sent > 0);
    assert_eq!(row.measure(Measure::InFlight), 1);
    assert_eq!(b.shards[0].client("another"), None);
}

#[test]
fn those_with_the_most_come_first_and_those_with_nothing_not_at_all() {
    let mut b = Broker::new(1);
    small_parts(&mut b);
    for n in 0..8u8 {
        let peer = b.connect(Version::V5, &format!("client-{n}"));
        for filter in 0..n % 4 {
            b.subscribe(peer, &format!("filter/{filter}"), QoS::AtMostOnce);
        }
    }
    let mut rows = all(0, |from| {
        let looked = b.shards[0].top_clients(Measure::Subscriptions, 2, from);
        assert!(looked.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.subscriptions)));
        looked
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.measure(Measure::Subscriptions)));
    assert_eq!(rows.iter().map(|row| row.subscriptions).collect::<Vec<_>>(), [3, 3, 2, 2, 1, 1]);
}

#[test]
fn subscriptions_are_found_in_parts_each_once() {
    let mut b = Broker::new(1);
    small_parts(&mut b);
    for n in 0..5 {
        let peer = b.connect(Version::V5, &format!("client-{n}"));
        for filter in ["a/b", "a/+", "$share/Group/a/#", "other"] {
            b.subscribe_with(peer, filter, options(QoS::AtLeastOnce), Some(7));
        }
    }
    let ask = |query: SubscriptionQuery| all((0, 0), |from| b.shards[0].subscriptions(&query, from, 3));
    let rows = ask(SubscriptionQuery::default());
    let mut told: Vec<_> = rows.iter().map(|row| (&row.client_id, &row.filter, &row.share)).collect();
    told.sort();
    told.dedup();
    assert_eq!((rows.len(), told.len()), (20, 20));
    assert!(rows.iter().all(|row| row.qos == QoS::AtLeastOnce && row.identifier == Some(7) && !row.joining));
    let of_group = ask(SubscriptionQuery { text: "group".to_owned(), ..SubscriptionQuery::default() });
    assert_eq!(of_group.len(), 5);
    assert!(of_group.iter().all(|row| row.share.as_deref() == Some("Group") && &*row.filter == "a/#"));
    let of_topic = SubscriptionQuery { topic: Some("a/b".to_owned()), ..SubscriptionQuery::default() };
    assert_eq!(ask(of_topic).len(), 15);
    let of_client =
        SubscriptionQuery { client_id: Some("client-3".to_owned()), ..SubscriptionQuery::default() };
    let rows = ask(of_client);
    assert!(rows.len() == 4 && rows.iter().all(|row| &*row.client_id == "client-3"));
    let of_nobody =
        SubscriptionQuery { client_id: Some("nobody".to_owned()), ..SubscriptionQuery::default() };
    assert_eq!(ask(of_nobody), []);
}

#[test]
fn a_kick_takes_the_connection_or_the_session_and_publishes_the_will() {
    for what in [KickWhat::Connection, KickWhat::Session] {
        let mut b = Broker::new(1);
        let watcher = b.connect(Version::V5, "watcher");
        b.subscribe(watcher, "will", QoS::AtMostOnce);
        let will = Will {
            topic: "will",
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Default::default(),
        };
        let mut c = Connect { clean_start: false, will: Some(will), ..connect(Version::V5, "peer") };
        c.properties.session_expiry_secs = Some(100);
        let (peer, _) = b.connect_with(&c);
        b.subscribe(peer, "a", QoS::AtMostOnce);
        assert!(!b.shards[0].kick("nobody", what));
        assert!(b.shards[0].kick("peer", what));
        b.settle();
        let told = b.received(peer);
        assert!(told[0].contains("AdministrativeAction"), "{told:?}");
        assert_eq!(b.received(watcher), ["will q0 id0 gone"]);
        let stays = b.shards[0].client("peer").is_some();
        assert_eq!(stays, what == KickWhat::Connection);
        // Who is not connected has no connection to lose, and may have a session.
        assert!(!b.shards[0].kick("peer", KickWhat::Connection));
        assert_eq!(b.shards[0].kick("peer", KickWhat::Session), stays);
        assert_eq!((b.shards[0].census().sessions, b.shards[0].census().subscriptions), (1, 1));
    }
}

fn retain(b: &mut Broker, peer: Peer, topics: &[&str]) {
    for topic in topics {
        b.publish(peer, topic, topic, QoS::AtMostOnce, true);
    }
}

#[test]
fn retained_messages_are_found_in_parts_in_the_order_of_topics() {
    let mut b = Broker::new(1);
    small_parts(&mut b);
    let peer = b.connect(Version::V5, "client");
    retain(&mut b, peer, &["a", "a/b", "a/b!", "a/b/c", "a/c", "b", "b/x", "$own/x"]);
    b.shards[0].handle_system("$SYS/broker/version", b"1");
    let ask = |filter: &str, text: &str| {
        let mut query = RetainedQuery::new(filter).expect("a filter");
        query.text = text.to_owned();
        let rows = all(None, |from: Option<Box<str>>| {
            let Looked { rows, next } = b.shards[0].retained(&query, from.as_deref(), 2);
            Looked { rows, next: next.map(Some) }
        });
        rows.into_iter().map(|row| row.topic).collect::<Vec<_>>()
    };
    assert_eq!(ask("#", ""), ["a", "a/b", "a/b!", "a/b/c", "a/c", "b", "b/x"].map(Box::from));
    assert_eq!(ask("a/b/#", ""), ["a/b", "a/b/c"].map(Box::from));
    assert_eq!(ask("+/+", ""), ["a/b", "a/b!", "a/c", "b/x"].map(Box::from));
    assert_eq!(ask("#", "X"), ["b/x"].map(Box::from));
    assert_eq!(ask("$SYS/#", ""), ["$SYS/broker/version"].map(Box::from));
    assert_eq!(ask("nothing", ""), [""; 0].map(Box::from));
    for filter in ["", "a/#/b", "a+", "$share/g/a"] {
        assert_eq!(RetainedQuery::new(filter).err(), Some(NotAFilter), "{filter}");
    }
}

#[test]
fn the_tree_of_topics_is_counted() {
    let mut b = Broker::new(1);
    small_parts(&mut b);
    let peer = b.connect(Version::V5, "client");
    retain(&mut b, peer, &["a", "a/b", "a/b!", "a/b/c", "a//d", "b/x/y/z"]);
    b.shards[0].handle_system("$SYS/broker/version", b"1");
    let level = |prefix: &str, after: Option<&str>| {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let query = LevelQuery { prefix, most: 100, after };
        let mut children = crate::shard::questions::retained::Children::new();
        let rows = all(None, |from: Option<Box<str>>| {
            let Looked { rows, next } = b.shards[0].retained_level(&query, from.as_deref());
            Looked { rows, next: next.map(Some) }
        });
        for (name, (here, below)) in rows {
            let child = children.entry(name).or_insert((false, 0));
            *child = (child.0 || here, child.1 + below);
        }
        children.into_iter().map(|(name, (here, below))| format!("{name} {here} {below}")).collect::<Vec<_>>()
    };
    assert_eq!(level("", None), ["a true 4", "b false 1"]);
    assert_eq!(level("a/", None), [" false 1", "b true 1", "b! true 0"]);
    assert_eq!(level("a/", Some("b")), ["b! true 0"]);
    assert_eq!(level("b/x/", None), ["y false 1"]);
    assert_eq!(level("$SYS/", None), ["broker false 1"]);
    assert_eq!(level("c/", None), [""; 0]);
}

#[test]
fn a_retained_message_is_told_whole_and_removed_without_a_word() {
    let mut b = Broker::new(1);
    let peer = b.connect(Version::V5, "client");
    b.subscribe(peer, "#", QoS::AtMostOnce);
    let mut raw = Vec::new();
    for property in [
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers"),
        Property::CorrelationData(b"\x01\x02"),
        Property::User("name", "value"),
        Property::User("name", "again"),
    ] {
        property.append_to(&mut raw);
    }
    let properties = PublishProperties { message_expiry_secs: Some(30), raw: &raw, ..Default::default() };
    let (dup, qos, retain, topic) = (false, QoS::AtLeastOnce, true, "topic");
    let publish =
        Publish { dup, qos, retain, topic, packet_id: PacketId::new(1), properties, payload: b"payload" };
    b.send(peer, &Packet::Publish(publish));
    b.received(peer);
    b.pass(10);
    let message = b.shards[0].retained_message("topic").expect("it is there");
    assert_eq!(message.payload, b"payload");
    assert_eq!((message.row.qos, message.row.payload_bytes), (QoS::AtLeastOnce, 7));
    assert_eq!((message.row.stored_unix_secs, message.row.expires_in_secs), (1, Some(20)));
    assert_eq!(message.content_type.as_deref(), Some("text/plain"));
    assert_eq!(message.response_topic.as_deref(), Some("answers"));
    assert_eq!(message.correlation_data.as_deref(), Some(&[1, 2][..]));
    assert_eq!(
        message.user_properties,
        [("name", "value"), ("name", "again")].map(|(n, v)| (n.into(), v.into()))
    );
    b.shards[0].handle_system("$SYS/broker/version", b"1");
    b.settle();
    b.received(peer);
    assert!(b.shards[0].remove_retained("topic") && !b.shards[0].remove_retained("topic"));
    assert!(!b.shards[0].remove_retained("$SYS/broker/version"), "it stays");
    b.settle();
    assert_eq!(b.received(peer), [""; 0], "nobody is told");
    assert_eq!(b.shards[0].retained_message("topic"), None);
    let census = b.shards[0].census();
    assert_eq!((census.retained, census.retained_bytes), (0, 0));
    // What has expired is not there, also before it is swept.
    let properties = PublishProperties { message_expiry_secs: Some(1), ..Default::default() };
    let publish =
        Publish { dup, qos, retain, topic, packet_id: PacketId::new(2), properties, payload: b"late" };
    b.send(peer, &Packet::Publish(publish));
    b.now = b.now.after_secs(1);
    b.shards[0].now = b.now;
    assert_eq!(b.shards[0].retained_message("topic"), None);
    assert_eq!(b.shards[0].retained(&RetainedQuery::default(), None, 9).rows, []);
    assert!(!b.shards[0].remove_retained("topic"));
}

/// A replay that has not come to a message that was removed leaves it out, and those behind it come.
#[test]
fn a_replay_goes_on_behind_what_was_removed() {
    let mut b = Broker::new(2);
    b.shards.iter_mut().for_each(|s| s.set_pace(Pace { replay_batch: 1, ..Pace::default() }));
    let peer = b.connect(Version::V5, "client");
    let topics: Vec<String> = (0..20).map(|n| format!("topic/{n:02}")).collect();
    for topic in &topics {
        b.publish(peer, topic, "x", QoS::AtMostOnce, true);
    }
    let mut filters = FiltersBuilder::default();
    filters.push("topic/#", options(QoS::AtMostOnce));
    let (packet_id, user) = (PacketId::new(1).expect("not zero"), UserProperties::default());
    let subscribe = Subscribe { packet_id, subscription_id: None, user, filters: filters.filters() };
    let mut bytes = Vec::new();
    Packet::Subscribe(subscribe).encode(Version::V5, &mut bytes);
    b.shards[peer.shard as usize].handle_bytes(peer.conn, &bytes);
    b.turn();
    let removed: usize = topics
        .iter()
        .map(|t| b.shards.iter_mut().filter_map(|s| s.remove_retained(t).then_some(())).count())
        .sum();
    assert_eq!(removed, 20);
    b.publish(peer, "topic/19", "new", QoS::AtMostOnce, false);
    let received = b.received(peer);
    let live = received.iter().filter(|packet| packet.ends_with("new")).count();
    assert_eq!(live, 1, "{received:?}");
    assert!(received.len() < 15, "what was removed does not come: {received:?}");
    assert_eq!(b.shards.iter().map(|s| s.census().cursors + s.census().replays).sum::<usize>(), 0);
}

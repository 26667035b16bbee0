//! Failures counted, and nodes whose clients have passwords.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::net::listener;
use crate::node::{Node, NodeConfig};
use crate::policy::{Credentials, Generation, Limits, Snapshot};

/// "tide", cheaply.
const TIDE: &str = "$argon2id$v=19$m=7168,t=1,p=1$c29tZSBzYWx0$3iAkQDkJ9nbEsJw0OJgW8eszTBDrrJey";
const PATIENT: Duration = Duration::from_secs(30);

fn source(text: &str) -> Source {
    Source::of(text.parse().expect("an address"))
}

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

#[test]
fn an_address_has_so_many_failures_a_minute() {
    let mut failures = Failures::new(10);
    let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
    for n in 0..3 {
        assert!(!failures.are_too_many(one, 3, at(n)), "{n}");
        failures.count(one, at(n));
    }
    assert!(failures.are_too_many(one, 3, at(3)));
    assert!(failures.are_too_many(one, 3, at(59)));
    assert!(!failures.are_too_many(one, 4, at(59)), "a limit that was raised holds at once");
    assert!(!failures.are_too_many(one, 0, at(59)), "no limit");
    assert!(!failures.are_too_many(other, 3, at(59)));
    assert!(!failures.are_too_many(one, 3, at(60)), "the minute is over");
    assert!(failures.counts.is_empty() && failures.began.is_empty());
}

#[test]
fn an_address_of_ipv6_stands_for_its_network_and_a_mapped_one_for_itself() {
    assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    assert_ne!(source("::ffff:192.0.2.1"), source("::ffff:192.0.2.2"));
}

#[test]
fn only_so_many_addresses_are_known() {
    let mut failures = Failures::new(4);
    for n in 0..100u8 {
        let address = Source::V4(Ipv4Addr::new(192, 0, 2, n));
        failures.count(address, at(0));
        failures.count(address, at(0));
        assert!(failures.are_too_many(address, 2, at(1)));
        assert!(failures.counts.len() <= 4 && failures.began.len() == failures.counts.len());
    }
}

fn snapshot(users: &[&str], limit: u16) -> Arc<Snapshot> {
    let stored = || TIDE.parse().expect("a stored password");
    let credentials = Arc::new(Credentials::new(true, users.iter().map(|user| ((*user).into(), stored()))));
    let limits = Limits { failed_logins_per_minute: limit, ..Limits::default() };
    Arc::new(Snapshot {
        generation: Generation(1),
        limits,
        persistent_sessions: true,
        credentials,
        ..Snapshot::default()
    })
}

fn node(shards: u16, snapshot: Arc<Snapshot>) -> (Node, SocketAddr) {
    let bound = listener::bind(0, SocketAddr::from(([127, 0, 0, 1], 0)), shards).expect("bound");
    let address = bound.address;
    let (cores, home_key, listeners) = (vec![0], [5; 16], vec![bound]);
    (Node::start(NodeConfig { shards, cores, home_key, snapshot, listeners }).expect("started"), address)
}

/// Sends a CONNECT of 3.1.1 with a user name and a password.
fn begin(address: SocketAddr, id: &str, user: &str, password: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("connected");
    client.set_read_timeout(Some(PATIENT)).expect("option");
    let mut packet = b"\x10\x00\x00\x04MQTT\x04\xC2\x00\x3c".to_vec();
    for part in [id, user, password] {
        packet.extend([0, part.len() as u8]);
        packet.extend(part.as_bytes());
    }
    packet[1] = packet.len() as u8 - 2;
    client.write_all(&packet).expect("sent");
    client
}

/// The return code of a CONNACK.
fn end(client: &mut TcpStream) -> u8 {
    let mut got = [0; 4];
    client.read_exact(&mut got).expect("a CONNACK");
    assert_eq!(got[..3], [0x20, 2, 0]);
    got[3]
}

fn connect(address: SocketAddr, user: &str, password: &str) -> u8 {
    end(&mut begin(address, user, user, password))
}

#[test]
fn passwords_are_verified_and_the_loop_goes_on_meanwhile() {
    let (node, address) = node(2, snapshot(&["anna"], 0));
    assert_eq!(connect(address, "anna", "tide"), 0);
    assert_eq!(connect(address, "anna", "tidE"), 4);
    assert_eq!(connect(address, "nobody", "tide"), 4);
    // Many at once, with one password and with their own wrong ones, on both shards.
    let mut clients: Vec<_> = (0..100)
        .map(|n| {
            let password = if n % 2 == 0 { "tide".to_owned() } else { format!("{}", n % 7) };
            begin(address, &format!("client{n}"), "anna", &password)
        })
        .collect();
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(end(client), if n % 2 == 0 { 0 } else { 4 }, "{n}");
    }
    node.stop();
}

#[test]
fn too_many_wrong_ones_from_one_address_are_not_verified_and_known_ones_come_in_all_the_same() {
    let (node, address) = node(1, snapshot(&["anna", "bert"], 3));
    assert_eq!(connect(address, "anna", "tide"), 0);
    for n in 0..3 {
        assert_eq!(connect(address, "bert", &format!("guess {n}")), 4, "{n}");
    }
    assert_eq!(connect(address, "bert", "another guess"), 3);
    assert_eq!(connect(address, "bert", "tide"), 3, "right or wrong: nobody looks");
    assert_eq!(connect(address, "anna", "tide"), 0, "it was verified before");
    // A new limit holds at once.
    node.install(snapshot(&["anna", "bert"], 0));
    assert_eq!(connect(address, "bert", "guess"), 4);
    assert_eq!(connect(address, "bert", "tide"), 0);
    node.stop();
}

/// Nobody waits for what is left in the queue.
#[test]
fn a_node_stops_with_passwords_in_its_queue() {
    let (node, address) = node(1, snapshot(&["anna"], 0));
    let clients: Vec<_> =
        (0..200).map(|n| begin(address, &format!("client{n}"), "anna", &format!("guess {n}"))).collect();
    assert_eq!(connect(address, "first", "guess"), 4, "all of them have arrived");
    node.stop();
    drop(clients);
}

//! Attacks on the sockets, each against a broker of its own: silence, garbage, slowness, too many connections. A
//! witness that connected before goes on through all of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const HANG: Duration = Duration::from_secs(30);
const PINGRESP: [u8; 2] = [0xD0, 0];

/// A broker with limits of its own, on two shards.
struct Own {
    address: SocketAddr,
    child: Child,
    data: TempDir,
    /// Held so that what it writes does not fail.
    _out: BufReader<ChildStdout>,
}

impl Own {
    fn start(limits: &str) -> Own {
        let data = tempfile::tempdir().expect("a folder for data");
        let config = format!("generation = 0\nenabled = false\n[limits]\n{limits}\n");
        std::fs::write(data.path().join("config.toml"), config).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["serve", "--listen", "127.0.0.1:0", "--shards", "2", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(out.read_line(&mut line).expect("text") > 0, "it says where it listens");
            if let Some(address) = line.trim().strip_prefix("listening on tcp ") {
                break address.parse().expect("an address");
            }
        };
        Own { address, child, data, _out: out }
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(HANG)).expect("set");
        stream.set_nodelay(true).expect("set");
        stream
    }

    /// A client that is connected.
    fn client(&self, id: &str) -> TcpStream {
        let mut stream = self.open();
        stream.write_all(&connect(4, id)).expect("sent");
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).expect("a CONNACK");
        assert_eq!(connack, [0x20, 2, 0, 0]);
        stream
    }

    /// What `tidemq report` shows, by name.
    fn report(&self) -> BTreeMap<String, u64> {
        let report = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["report", "--data"])
            .arg(self.data.path())
            .output()
            .expect("it runs");
        let text = String::from_utf8(report.stdout).expect("text");
        let row = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(row).collect()
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It may have ended by itself, and then the test has failed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(level: u8, id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, 0, 0, 4];
    packet.extend_from_slice(b"MQTT");
    packet.extend([level, 2, 0, 0]);
    packet.extend((level == 5).then_some(0));
    packet.extend([0, id.len() as u8]);
    packet.extend_from_slice(id.as_bytes());
    packet[1] = packet.len() as u8 - 2;
    packet
}

fn ping(client: &mut TcpStream) {
    client.write_all(&[0xC0, 0]).expect("sent");
    let mut answer = [0; 2];
    client.read_exact(&mut answer).expect("answered");
    assert_eq!(answer, PINGRESP);
}

/// Reads until the broker has closed; what it said before.
fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        // What we sent and it did not read is answered by a reset.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    said
}

#[test]
fn connections_without_a_connect_end_in_time_and_leave_no_memory() {
    let broker = Own::start("connect_timeout_secs = 2");
    let mut witness = broker.client("witness");
    let mut resident = Vec::new();
    for wave in 1..=3 {
        let mut silent: Vec<TcpStream> = (0..3_000).map(|_| broker.open()).collect();
        let half = connect(5, &"i".repeat(100));
        // Half of a CONNECT, and one that is announced with 60 KiB; 255 bytes of it come.
        let mut announced = vec![0x10, 0xE0, 0xD4, 0x03, 0, 4];
        announced.extend_from_slice(b"MQTT\x05\x02\0\0");
        announced.resize(255, 0);
        for (number, stream) in silent.iter_mut().enumerate() {
            match number % 3 {
                0 => {}
                1 => stream.write_all(&half[..half.len() - 1]).expect("sent"),
                _ => stream.write_all(&announced).expect("sent"),
            }
        }
        ping(&mut witness);
        for mut stream in silent {
            assert_eq!(read_to_close(&mut stream), [], "nobody is spoken to");
        }
        ping(&mut witness);
        let report = broker.report();
        assert_eq!(report["closed: no CONNECT in time"], wave * 3_000);
        assert_eq!(report["connections"], 1);
        resident.push(broker.resident_kib());
    }
    // What the tables have grown to stays with them; it does not grow again.
    assert!(resident[2] <= resident[0] + 2_048, "{resident:?} KiB");
}

#[test]
fn garbage_is_closed_counted_and_costs_nobody_else_anything() {
    let broker = Own::start("connect_timeout_secs = 10");
    let mut witness = broker.client("witness");
    let mut state = 42u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let mut count = 0;
    for round in 0..200 {
        let mut noise: Vec<u8> = (0..=round * 40).map(|_| random()).collect();
        // Neither CONNECT, which might be waited for, nor nothing but its type.
        noise[0] |= 0x20;
        let samples: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[0; 64],
            &[0x10, 0xFF, 0xFF, 0xFF, 0x7F],
            &[0x10, 0xFF, 0xFF, 0xFF, 0xFF],
            &noise,
        ];
        for sample in samples {
            let mut stream = broker.open();
            // It may close before all of it is sent.
            let _ = stream.write_all(sample);
            assert_eq!(read_to_close(&mut stream), []);
            count += 1;
        }
        ping(&mut witness);
    }
    let report = broker.report();
    assert_eq!(report["closed: violation"], count);
    assert_eq!(report["violation: first_packet_not_connect"], 200 * 3);
    assert_eq!(report["violation: reserved_flags"], 200, "TLS begins like a CONNECT with flags");
    assert_eq!(report["violation: packet_too_large"], 200);
    assert_eq!(report["violation: remaining_length"], 200);
    assert_eq!(report["connections"], 1);
}

#[test]
fn a_connect_byte_by_byte_arrives_at_either_home() {
    let broker = Own::start("connect_timeout_secs = 30");
    for (level, id) in [(4, "a"), (5, "b"), (4, "c"), (5, "d"), (4, "e"), (5, "f")] {
        let mut stream = broker.open();
        let mut bytes = connect(level, id);
        bytes.extend([0xC0, 0]);
        for byte in bytes {
            stream.write_all(&[byte]).expect("sent");
        }
        let mut head = [0; 2];
        stream.read_exact(&mut head).expect("a CONNACK");
        assert_eq!(head[0], 0x20);
        let mut connack = vec![0; usize::from(head[1])];
        stream.read_exact(&mut connack).expect("a CONNACK");
        assert_eq!(connack[..2], [0, 0]);
        let mut pong = [0; 2];
        stream.read_exact(&mut pong).expect("a PINGRESP");
        assert_eq!(pong, PINGRESP);
    }
    assert!(broker.report()["sockets handed to another shard"] > 0, "both homes were met");
}

#[test]
fn connections_over_the_limit_are_closed_and_counted_and_seats_come_back() {
    let broker = Own::start("connections = 50");
    let mut inside: Vec<TcpStream> = (0..50).map(|i| broker.client(&format!("inside {i}"))).collect();
    for _ in 0..200 {
        let mut outside = broker.open();
        let _ = outside.write_all(&connect(4, "outside"));
        assert_eq!(read_to_close(&mut outside), []);
    }
    inside.iter_mut().for_each(ping);
    let report = broker.report();
    assert_eq!((report["sockets over the limit"], report["connections"]), (200, 50));
    // A seat is given back when the broker has seen the end of who left.
    inside.truncate(40);
    while broker.report()["connections"] > 40 {}
    for i in 0..10 {
        inside.push(broker.client(&format!("newcomer {i}")));
    }
    inside.iter_mut().for_each(ping);
}

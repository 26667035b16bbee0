//! Records in at one end, lines out at the others.

use std::fs;

use crossbeam_channel::{Sender, bounded};

use super::*;
use crate::control::config::Direction as Configured;
use crate::mqtt::{QoS, Version};
use crate::policy::trace::Direction;

/// A publish that a client has sent.
pub(super) fn publish(client: &str, payload: &[u8]) -> Traced {
    Traced {
        unix_micros: 0,
        direction: Direction::In,
        client_id: client.into(),
        peer: "192.0.2.7:4711".parse().unwrap(),
        version: Version::V5,
        packet: PacketType::Publish,
        packet_bytes: payload.len() + 9,
        topic: Some("t".into()),
        qos: Some(QoS::AtMostOnce),
        retain: false,
        dup: false,
        packet_id: None,
        payload_bytes: payload.len(),
        payload: payload.into(),
        codes: Vec::new(),
        filters: Vec::new(),
        details: Vec::new(),
    }
}

fn of(client: &str) -> TraceSpec {
    TraceSpec { client_id: Some(client.to_owned()), payload_bytes: 9, ..TraceSpec::default() }
}

fn log_of(client: &str, file_bytes: u64) -> Diagnostics {
    Diagnostics {
        log_messages: true,
        client: client.to_owned(),
        topic: "#".into(),
        direction: Configured::Both,
        packets: Vec::new(),
        payload_bytes: 9,
        file_bytes,
        files: 2,
    }
}

struct Setup {
    temp: tempfile::TempDir,
    tracing: Tracing,
    records: Sender<Traced>,
}

impl Setup {
    fn new() -> Setup {
        let temp = tempfile::tempdir().unwrap();
        let (records, incoming) = bounded(4);
        let tracing = Tracing::new(file_in(temp.path()));
        tracing.take_from(incoming).unwrap();
        Setup { temp, tracing, records }
    }

    fn listen(&mut self, client: &str) -> Listener {
        self.tracing.listen(of(client), None).unwrap()
    }

    fn send(&self, client: &str, payload: &str) {
        self.records.send(publish(client, payload.as_bytes())).unwrap();
    }

    fn file(&self) -> String {
        fs::read_to_string(file_in(self.temp.path())).unwrap()
    }
}

fn heard(listener: &mut Listener) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(listener.next()).expect("records are taken")
}

#[test]
fn the_file_and_each_listener_get_what_they_want() {
    let mut setup = Setup::new();
    let (mut a, mut end) = (setup.listen("a"), setup.listen("end"));
    setup.tracing.apply(&log_of("b", 1 << 20), None);
    let clients: Vec<Option<String>> =
        setup.tracing.wanted().into_iter().map(|spec| spec.client_id).collect();
    assert_eq!(clients, ["a", "end", "b"].map(|client| Some(client.to_owned())));
    for client in ["a", "b", "c"] {
        setup.send(client, "x");
    }
    setup.send("end", "");
    let Heard::Line(line) = heard(&mut a) else { panic!("not a line") };
    assert!(line.contains("\"client_id\":\"a\""), "{line}");
    heard(&mut end);
    // The lock is free again once what was taken has been flushed.
    assert_eq!(setup.tracing.counts(), Counts { written: 1, unwritten: 0 });
    assert!(setup.file().contains("\"client_id\":\"b\""));
    drop((a, end));
    setup.tracing.apply(&Diagnostics { log_messages: false, ..log_of("b", 1) }, None);
    assert_eq!(setup.tracing.wanted(), [], "nobody wants anything");
}

#[test]
fn a_listener_that_stops_and_a_disk_that_fails_cost_only_their_own_lines() {
    let mut setup = Setup::new();
    let silent = setup.listen("a");
    let mut end = setup.listen("end");
    setup.tracing.apply(&log_of("a", 1_000), None);
    // In the place of the file that is put aside lies what cannot be replaced.
    fs::create_dir_all(setup.temp.path().join("messages/messages.log.1/x")).unwrap();
    let payload = "x".repeat(900);
    for _ in 0..3_000 {
        setup.send("a", &payload);
    }
    setup.send("end", "");
    heard(&mut end);
    let Counts { written, unwritten } = setup.tracing.counts();
    assert_eq!((written, written + unwritten), (1, 3_000));
    drop(silent);
}

#[test]
fn what_cannot_be_traced_is_told_and_changes_nothing() {
    let mut setup = Setup::new();
    let bad = TraceSpec { topic: Some("a/#/b".into()), ..TraceSpec::default() };
    assert!(matches!(setup.tracing.listen(bad, None), Err(TraceProblem::Filter(_))));
    let mut all: Vec<Listener> = (0..crate::policy::trace::SPECS_MOST).map(|_| setup.listen("a")).collect();
    assert!(matches!(setup.tracing.listen(of("b"), None), Err(TraceProblem::TooMany(65))));
    all.pop();
    setup.tracing.listen(of("b"), None).unwrap();
}

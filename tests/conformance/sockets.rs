//! The real binary and plain sockets, for what only a network can show. Must not assert on time: a bound only catches
//! a hang.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::wire::Packet;

/// Only a hang takes so long.
const HANG: Duration = Duration::from_secs(30);

/// Ends with its value.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    _data: TempDir,
}

impl Process {
    /// A broker with two shards on a free port.
    pub fn start() -> Process {
        Process::start_at("127.0.0.1:0", "listening on tcp ")
    }

    /// The same with MQTT in WebSocket frames, at `/mqtt`.
    pub fn start_websocket() -> Process {
        Process::start_at("ws://127.0.0.1:0/mqtt", "listening on websocket ")
    }

    fn start_at(listen: &str, says: &str) -> Process {
        let data = tempfile::tempdir().expect("a folder for data");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["serve", "--listen", listen, "--shards", "2", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = out
            .lines()
            .map(|line| line.expect("it says text"))
            .find_map(|line| line.strip_prefix(says).map(str::to_owned))
            .expect("the broker says where it listens");
        let address = address.split('/').next().expect("it is not empty").parse().expect("an address");
        Process { address, child, _data: data }
    }

    /// A connection on which nothing has been said.
    pub fn client(&self) -> Wire {
        let stream = TcpStream::connect(self.address).expect("the broker listens");
        stream.set_nodelay(true).expect("TCP");
        stream.set_read_timeout(Some(HANG)).expect("not zero");
        Wire { stream, kept: Vec::new() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A plain socket.
pub struct Wire {
    pub stream: TcpStream,
    kept: Vec<u8>,
}

impl Wire {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker takes it");
    }

    /// The next packet; only a hang keeps it away.
    #[track_caller]
    pub fn packet(&mut self) -> Packet {
        loop {
            if let Some(packet) = Packet::take(&mut self.kept) {
                return packet;
            }
            let mut some = [0; 4_096];
            let read = self.stream.read(&mut some).expect("the broker sends");
            assert!(read > 0, "the broker has closed");
            self.kept.extend(&some[..read]);
        }
    }

    /// The broker sends nothing more and closes, in order: no reset that could swallow what it sent last.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let mut rest = std::mem::take(&mut self.kept);
        self.stream.read_to_end(&mut rest).expect("an end in order");
        assert!(rest.is_empty(), "{rest:02X?} came");
    }
}

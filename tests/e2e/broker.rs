//! The real binary as a process of its own, which ends with the process of the tests.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A broker that listens.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    _data: Option<TempDir>,
}

impl Broker {
    /// Starts one on a free port, or takes the one that the environment names.
    pub(crate) fn start() -> Broker {
        if let Some(address) = from_environment("E2E_BROKER") {
            return Broker { address: address.parse().expect("E2E_BROKER is HOST:PORT"), _data: None };
        }
        let data = tempfile::tempdir().expect("a folder for data");
        // The process of the tests ends without dropping statics. So a shell waits for the end of its standard input,
        // which only this process holds open, and then stops the broker.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(r#""$0" serve --data "$1" --listen 127.0.0.1:0 --shards 4 & read -r _; kill $!; wait $!; rm -r "$1""#)
            .arg(env!("CARGO_BIN_EXE_tidemq"))
            .arg(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = out
            .lines()
            .map(|line| line.expect("it says text"))
            .find_map(|line| line.strip_prefix("listening on tcp ").map(str::to_owned))
            .expect("the broker says where it listens");
        // Dropping the child would close its standard input.
        std::mem::forget(child);
        Broker { address: address.parse().expect("an address"), _data: Some(data) }
    }
}

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

//! A broker of a test's own: the real binary, its homes, its memory and its counters.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidemq::routing::Homes;

/// Only a hang takes so long.
pub(crate) const HANG: Duration = Duration::from_secs(20);

/// Between two looks at something that tells nobody of itself.
const LOOK: Duration = Duration::from_millis(20);

/// The shipped limits, but for one: on a slow machine a test may take longer than the broker has patience with a
/// socket that takes nothing.
const CONFIG: &str = "[limits]\noutput_stall_secs = 600\n";

const UNDER_WAY: &str = "publications under way between shards";
pub(crate) const PAUSED: &str = "connections paused: own output unread";
pub(crate) const OUTPUT_FULL: &str = "deliveries dropped: output full";
pub(crate) const BACKLOG_FULL: &str = "deliveries dropped: backlog full";

/// The broker's report.
pub(crate) struct Counts(String);

impl Counts {
    /// A row that is not shown is zero.
    pub(crate) fn row(&self, name: &str) -> usize {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }
}

/// Ends with its value.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    child: Child,
    data: TempDir,
    homes: Homes,
}

impl Broker {
    pub(crate) fn start(shards: u16) -> Broker {
        let data = tempfile::tempdir().expect("a folder for data");
        fs::write(data.path().join("config.toml"), CONFIG).expect("the folder is there");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["serve", "--listen", "127.0.0.1:0", "--shards", &shards.to_string(), "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = out
            .lines()
            .map(|line| line.expect("it says text"))
            .find_map(|line| line.strip_prefix("listening on tcp ").map(str::to_owned))
            .expect("the broker says where it listens");
        let key = fs::read(data.path().join("state/home.key")).expect("it has made its key");
        let homes = Homes::new(key.try_into().expect("the key has its size"), shards);
        Broker { address: address.parse().expect("an address"), child, data, homes }
    }

    /// A client identifier or topic of this stem whose home is `shard`.
    pub(crate) fn named(&self, stem: &str, shard: u16) -> String {
        let names = (0..).map(|number| format!("{stem}/{number}"));
        names
            .into_iter()
            .find(|name| self.homes.of(name.as_bytes()).0 == shard)
            .expect("every shard has names")
    }

    /// A figure of the process, in bytes: `VmRSS`, what is resident; `VmHWM`, the most that ever was.
    pub(crate) fn memory(&self, figure: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("the broker runs");
        let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        let kib = line.and_then(|text| text.split_whitespace().next()).expect("the kernel says it");
        kib.parse::<usize>().expect("a number") << 10
    }

    /// What the broker counts at this moment.
    pub(crate) fn counts(&self) -> Counts {
        let tidemq = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["report", "--data"])
            .arg(self.data.path())
            .output()
            .expect("the binary runs");
        assert!(tidemq.status.success(), "{}", String::from_utf8_lossy(&tidemq.stderr));
        Counts(String::from_utf8(tidemq.stdout).expect("it says text"))
    }

    /// Waits for counts as `wanted`.
    pub(crate) fn counts_when(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let hang = Instant::now() + HANG;
        loop {
            let counts = self.counts();
            if wanted(&counts) {
                return counts;
            }
            assert!(Instant::now() < hang, "it does not come to this:\n{}", counts.0);
            thread::sleep(LOOK);
        }
    }

    /// Waits until every accepted publish has reached, or been dropped by, everyone whom it was for.
    pub(crate) fn counts_when_delivered(&self) -> Counts {
        self.counts_when(|counts| counts.row(UNDER_WAY) == 0)
    }

    /// Stops it in order, which it must manage.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the broker runs");
        let hang = Instant::now() + HANG;
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None => assert!(Instant::now() < hang, "the broker does not stop"),
            }
            thread::sleep(LOOK);
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

//! What `doctor` says of the machine: kernel, io_uring, limits of this process, and settings of the kernel that bound a
//! broker with many clients (tuning.md has the reasons). Knows no configuration.

use std::fs;
use std::str::FromStr;

use rustix::process::{Resource, geteuid, getrlimit};

use super::Finding;
use crate::node::{ProbeError, probe};

/// The oldest kernel that has all that the rings need.
const KERNEL_LEAST: (u32, u32) = (6, 1);
/// Connections that wait to be accepted, as many as a shard asks for.
const ACCEPT_QUEUE: u64 = 4_096;
/// Half-open connections below which a storm of clients that come back at once has to try again.
const SYN_QUEUE_LEAST: u64 = 1_024;
/// Fewer descriptors than this are fewer clients than most brokers have.
const FILES_LEAST: u64 = 4_096;
/// What a shard's rings lock.
const LOCKED_BYTES_PER_SHARD: u64 = 512 << 10;
/// Of a table of the kernel, from where on it is nearly full.
const NEARLY_FULL: f64 = 0.8;

/// Looks at the machine.
pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![kernel(&text("/proc/sys/kernel/osrelease"))];
    let cores = core_affinity::get_core_ids().unwrap_or_default().len().max(1);
    let shards = u16::try_from(cores).unwrap_or(u16::MAX);
    match probe(shards, &[]) {
        Ok(machine) => {
            findings.push(Finding::ok("io_uring", format!("rings can be made, {shards} cores")));
            let locked = getrlimit(Resource::Memlock).current;
            findings.push(locked_memory(locked, shards, geteuid().is_root()));
            findings.push(open_files(machine.open_files));
        }
        Err(error @ ProbeError::LockedMemory { .. }) => {
            findings.push(Finding::from_error("locked memory", error));
        }
        Err(error @ ProbeError::Other { .. }) => {
            findings.push(Finding::problem("io_uring", error, "see the system's log"));
        }
        Err(error) => findings.push(Finding::from_error("io_uring", error)),
    }
    findings.extend(queue("net/core/somaxconn", ACCEPT_QUEUE));
    findings.extend(queue("net/ipv4/tcp_max_syn_backlog", SYN_QUEUE_LEAST));
    findings.extend(tcp_memory(&text("/proc/net/sockstat"), &text("/proc/sys/net/ipv4/tcp_mem")));
    findings.extend(tracked_connections());
    findings.extend(governor(&text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")));
    findings
}

/// A file of the kernel's; empty where there is none.
fn text(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn number<T: FromStr>(path: &str) -> Option<T> {
    text(path).parse().ok()
}

fn kernel(release: &str) -> Finding {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Finding::warning("kernel", format!("{release:?} is no version of Linux that is known"), "");
    };
    if (major, minor) < KERNEL_LEAST {
        let what = format!("Linux {release} lacks what the rings need");
        return Finding::problem("kernel", what, "install Linux 6.1 or newer");
    }
    Finding::ok("kernel", format!("Linux {release}"))
}

fn locked_memory(limit: Option<u64>, shards: u16, root: bool) -> Finding {
    let needed = LOCKED_BYTES_PER_SHARD * u64::from(shards);
    match limit {
        Some(limit) if limit < needed && !root => Finding::problem(
            "locked memory",
            format!("{limit} bytes may be locked, {shards} shards need {needed}"),
            format!("raise it with `ulimit -l {}`, `LimitMEMLOCK=` or `--ulimit memlock=`", needed >> 10),
        ),
        Some(limit) => Finding::ok("locked memory", format!("{} KiB may be locked", limit >> 10)),
        None => Finding::ok("locked memory", "any amount may be locked"),
    }
}

fn open_files(files: u64) -> Finding {
    let clients = files / 10 * 9;
    if files < FILES_LEAST {
        return Finding::warning(
            "open files",
            format!("{files} may be open: enough for {clients} clients"),
            "raise the hard limit: `ulimit -Hn 1048576`, `LimitNOFILE=1048576` or `--ulimit nofile=1048576`",
        );
    }
    Finding::ok("open files", format!("{files} may be open: enough for {clients} clients"))
}

/// A queue of connections that are to be accepted. `None`: this kernel does not say.
fn queue(name: &str, least: u64) -> Option<Finding> {
    let found = number::<u64>(&format!("/proc/sys/{name}"))?;
    let name = name.replace('/', ".");
    Some(if found < least {
        Finding::warning(
            "tuning",
            format!("{name} is {found}: clients that come back all at once have to try again"),
            format!("sysctl -w {name}=8192"),
        )
    } else {
        Finding::ok("tuning", format!("{name} is {found}"))
    })
}

/// How much of the memory of all TCP sockets is in use. Both in pages.
fn tcp_memory(sockstat: &str, limits: &str) -> Option<Finding> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_ascii_whitespace();
    let used: f64 = words.find(|word| *word == "mem").and_then(|_| words.next())?.parse().ok()?;
    let most: f64 = limits.split_ascii_whitespace().nth(2)?.parse().ok()?;
    let part = used / most;
    let what = format!("TCP uses {:.0} % of its memory (net.ipv4.tcp_mem)", part * 100.0);
    Some(if part > NEARLY_FULL {
        Finding::warning(
            "tuning",
            what,
            "raise its third number with `sysctl`: at the limit everybody stalls",
        )
    } else {
        Finding::ok("tuning", what)
    })
}

/// The table of a firewall that follows connections, if there is one.
fn tracked_connections() -> Option<Finding> {
    let folder = "/proc/sys/net/netfilter/nf_conntrack_";
    let used: f64 = number(&format!("{folder}count"))?;
    let most: f64 = number(&format!("{folder}max"))?;
    let what = format!("the firewall follows {used} connections of {most} at most");
    Some(if used / most > NEARLY_FULL {
        let remedy = "raise net.netfilter.nf_conntrack_max, or exempt the broker's ports (`notrack`)";
        Finding::warning("tuning", what, remedy)
    } else {
        Finding::ok("tuning", what)
    })
}

fn governor(governor: &str) -> Option<Finding> {
    (governor == "powersave").then(|| {
        let remedy = "`cpupower frequency-set -g performance`, if latency matters more than power";
        Finding::warning("tuning", "the processor saves power", remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_old_kernel_is_a_problem() {
        assert_eq!(kernel("6.1.0-13-amd64").verdict, Verdict::Ok);
        assert_eq!(kernel("10.0").verdict, Verdict::Ok);
        assert_eq!(kernel("6.0.19").verdict, Verdict::Problem);
        assert_eq!(kernel("5.15.0-91-generic").verdict, Verdict::Problem);
        assert_eq!(kernel("").verdict, Verdict::Warning);
    }

    #[test]
    fn what_may_be_locked_is_held_against_the_shards() {
        let finding = locked_memory(Some(1 << 20), 4, false);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.remedy.contains("ulimit -l 2048"), "{}", finding.remedy);
        assert_eq!(locked_memory(Some(1 << 20), 4, true).verdict, Verdict::Ok);
        assert_eq!(locked_memory(Some(2 << 20), 4, false).verdict, Verdict::Ok);
        assert_eq!(locked_memory(None, 4, false).verdict, Verdict::Ok);
    }

    #[test]
    fn few_files_and_full_tables_are_warned_of() {
        assert_eq!(open_files(1_024).verdict, Verdict::Warning);
        assert_eq!(open_files(1 << 20).verdict, Verdict::Ok);
        let sockstat = |mem: u32| {
            format!("sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 9 mem {mem}\nUDP: inuse 1 mem 0")
        };
        let verdict = |mem| tcp_memory(&sockstat(mem), "10\t20\t100").map(|finding| finding.verdict);
        assert_eq!(verdict(80), Some(Verdict::Ok));
        assert_eq!(verdict(81), Some(Verdict::Warning));
        assert_eq!(tcp_memory("", ""), None);
        assert!(governor("powersave").is_some() && governor("performance").is_none());
    }

    #[test]
    fn this_machine_is_looked_at_without_a_problem() {
        let problems: Vec<Finding> =
            look().into_iter().filter(|finding| finding.verdict == Verdict::Problem).collect();
        assert_eq!(problems, [], "the tests need io_uring themselves");
    }
}

//! What `doctor` says of the clock: certificates are judged by it. Knows nothing else.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Finding;
use crate::control::data_dir;
use crate::control::pki::moment;

/// The clock of a machine without a battery begins long before this program was written: 2026-01-01.
const EARLIEST: u64 = 1_767_225_600;
/// A file from so far in the future says that the clock was set back; less is a file system's own idea of time.
const AHEAD: Duration = Duration::from_secs(60);
/// Who knows whether the clock is synchronised answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(2);

const CHECK: &str = "clock";
const REMEDY: &str = "set it, and start a time service (systemd-timesyncd, chrony)";

/// Looks at the clock.
pub(super) fn look(data: &Path) -> Vec<Finding> {
    let now = SystemTime::now();
    if let Some(wrong) = wrong(now, last_write(data)) {
        return vec![wrong];
    }
    let at = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let at = moment(i64::try_from(at).unwrap_or(i64::MAX));
    vec![match synchronised() {
        Some(true) => Finding::ok(CHECK, format!("{at}, synchronised")),
        Some(false) => Finding::warning(
            CHECK,
            format!("{at}, and not synchronised: certificates may be taken for expired, or not valid yet"),
            "start a time service (systemd-timesyncd, chrony)",
        ),
        None => Finding::ok(CHECK, format!("{at}; nothing here says whether it is synchronised")),
    }]
}

/// When the data directory was last written by an Apply.
fn last_write(data: &Path) -> Option<SystemTime> {
    fs::metadata(data_dir::record_file(data)).ok()?.modified().ok()
}

/// A clock that cannot be right.
fn wrong(now: SystemTime, written: Option<SystemTime>) -> Option<Finding> {
    if now < UNIX_EPOCH + Duration::from_secs(EARLIEST) {
        return Some(Finding::problem(CHECK, "it shows a time before this program was written", REMEDY));
    }
    let ahead = written?.duration_since(now).ok()?;
    (ahead > AHEAD).then(|| {
        let what =
            format!("it was set back: the configuration was applied in {} s from now", ahead.as_secs());
        Finding::problem(CHECK, what, REMEDY)
    })
}

/// Asks the system's own tool, which looks at the kernel's discipline of the clock whoever keeps it. `None`: it is not
/// there or does not know.
fn synchronised() -> Option<bool> {
    let mut child = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut out = child.stdout.take()?;
    let (sender, said) = channel();
    let reading = move || {
        let mut text = String::new();
        let _gone = sender.send(out.read_to_string(&mut text).map(|_| text));
    };
    thread::Builder::new().name("timedatectl".into()).spawn(reading).ok()?;
    let said = said.recv_timeout(PATIENCE);
    let _ended = child.kill();
    let _reaped = child.wait();
    match said.ok()?.ok()?.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_is_a_problem() {
        let now = UNIX_EPOCH + Duration::from_secs(EARLIEST + 1_000);
        assert_eq!(wrong(now, None), None);
        assert_eq!(wrong(now, Some(now + AHEAD)), None);
        let back = wrong(now, Some(now + AHEAD * 2)).expect("it was set back");
        assert_eq!(back.verdict, Verdict::Problem);
        assert!(back.what.contains("120 s"), "{}", back.what);
        assert!(wrong(UNIX_EPOCH + Duration::from_secs(5), None).is_some());
        assert!(wrong(UNIX_EPOCH - Duration::from_secs(5), None).is_some());
    }

    #[test]
    fn this_machines_clock_is_looked_at_in_one_finding() {
        assert_eq!(look(Path::new("nowhere")).len(), 1);
    }
}

//! Who comes first where threads share a core: shards, then whatever can wait. Knows nothing of what they do.
//!
//! Without this an Apply, whose control thread works for milliseconds, holds up the messages of a shard on the same core
//! for as long as the kernel lets one thread run (`bench/apply_load.py`).

#![allow(unsafe_code, reason = "sched_setattr(2) has no safe form in std, nor in rustix")]

use std::io;
use std::mem::size_of;

/// How much threads stand back that can wait: a tenth of the weight of a shard.
const NICE: i32 = 10;
/// For how long a shard wants the core when it wakes up: the least that the kernel takes. Who asks for less than the one
/// that runs gets the core at once (Linux 6.12 and later; earlier ones take it and do nothing).
const SLICE_NS: u64 = 100_000;

/// The calling thread, and every one that it starts from now on, stands back behind shards. There is no way back.
///
/// Where the system refuses that, they are threads like any other.
pub fn stand_back() {
    let _ = rustix::process::nice(NICE);
}

/// The calling thread, a shard's, gets its core as soon as it wakes up. Its share of the core stays what it was.
///
/// Where the system refuses that, or somebody has given the process a policy of his own, it stays as it is.
pub(super) fn come_first() {
    let Ok(mut now) = scheduling() else { return };
    if now.sched_policy == libc::SCHED_OTHER.cast_unsigned() {
        now.sched_runtime = SLICE_NS;
        // SAFETY: the kernel reads a whole `sched_attr` of the size that it tells; 0 is the calling thread.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const now, 0) };
    }
}

/// How the calling thread is scheduled.
fn scheduling() -> io::Result<libc::sched_attr> {
    let size = u32::try_from(size_of::<libc::sched_attr>()).expect("it is a few words");
    let mut found = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes at most `size` bytes, and there are that many; 0 is the calling thread.
    match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, size, 0) } {
        0 => Ok(found),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_stands_back_does_so_with_all_that_he_starts() {
        let of_child = thread::spawn(|| {
            stand_back();
            thread::spawn(|| scheduling().unwrap().sched_nice).join().unwrap()
        });
        let before = scheduling().unwrap().sched_nice;
        assert_eq!(of_child.join().unwrap(), (before + NICE).min(19));
        assert_eq!(scheduling().unwrap().sched_nice, before, "who started it stays");
    }

    #[test]
    fn a_shard_asks_for_less_than_others_and_stays_as_nice() {
        let (before, after) = thread::spawn(|| {
            let before = scheduling().unwrap();
            come_first();
            (before, scheduling().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, before.sched_nice));
        // Before Linux 6.12 nobody has a slice of his own, and none is told.
        assert!(after.sched_runtime == SLICE_NS || after.sched_runtime == before.sched_runtime);
    }
}

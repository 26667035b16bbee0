//! What the machine must offer, looked at before the first shard starts: where something is missing, glommio would
//! panic, and with a strange text. Every error names the cause and the remedy.

use std::fs;
use std::io;

use io_uring::IoUring;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::executor::RING_DEPTH;
use crate::net::{RingError, probe_ring};

/// glommio refuses to start with less, whatever it needs.
const LOCKED_BYTES_LEAST: u64 = 512 << 10;
/// What a shard's rings and registered memory count against the limit of locked memory: 200 KiB of the second ring,
/// 250 KiB of glommio's.
const LOCKED_BYTES_PER_SHARD: u64 = 512 << 10;
/// glommio's rings per executor.
const EXECUTOR_RINGS: usize = 3;
/// Names fall into so many buckets, so there cannot be more shards.
const SHARDS_MOST: u16 = crate::routing::BUCKETS;

/// What the machine offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Descriptors this process may have open; the limit was raised as far as it goes.
    pub open_files: u64,
    /// The cores this process may run on.
    pub cores: Vec<usize>,
}

/// What the machine does not offer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel knows no io_uring.
    #[error("this kernel has no io_uring: Linux 6.1 or newer is needed, built with CONFIG_IO_URING")]
    NoIoUring,
    /// Switched off for the whole machine.
    #[error(
        "io_uring is switched off on this machine (kernel.io_uring_disabled = {value}): set it to 0 with \
         `sysctl kernel.io_uring_disabled=0`"
    )]
    SwitchedOff {
        /// 1: for all but a group; 2: for all.
        value: u8,
    },
    /// Forbidden to this process.
    #[error(
        "io_uring is forbidden to this process, most likely by a seccomp profile: allow the system calls \
         io_uring_setup, io_uring_enter and io_uring_register (Docker and Podman: `--security-opt \
         seccomp=PROFILE`, systemd: `SystemCallFilter=@io-event io_uring_setup io_uring_enter io_uring_register`)"
    )]
    Forbidden,
    /// io_uring is there, but without what the ring is made of.
    #[error(
        "the io_uring of this kernel ({release}) is too old: Linux 6.1 or newer is needed (deferred task work, \
         multishot receive, provided buffer rings)"
    )]
    TooOld {
        /// The kernel's release.
        release: String,
    },
    /// RLIMIT_MEMLOCK.
    #[error(
        "too little memory may be locked ({limit} bytes, {needed} are needed for {shards} shards): raise it with \
         `ulimit -l {}`, `LimitMEMLOCK=` in systemd or `--ulimit memlock=` in a container, or start fewer shards",
        .needed / 1024
    )]
    LockedMemory {
        /// What may be locked, in bytes.
        limit: u64,
        /// What is needed, in bytes.
        needed: u64,
        /// For so many shards.
        shards: u16,
    },
    /// A core that is not there or not for this process.
    #[error("core {core} is not among those this process may run on ({cores:?})")]
    NoCore {
        /// The core asked for.
        core: usize,
        /// Those there are.
        cores: Vec<usize>,
    },
    /// None or too many.
    #[error("{shards} shards: there must be 1 to {SHARDS_MOST}")]
    Shards {
        /// As many were asked for.
        shards: u16,
    },
    /// Something else.
    #[error("{attempt} failed: {source}")]
    Other {
        /// What was tried.
        attempt: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Looks whether `shards` shards can run on `cores` (none named: any), and raises the limits of open files and of
/// locked memory as far as they go.
pub fn probe(shards: u16, cores: &[usize]) -> Result<Machine, ProbeError> {
    if !(1..=SHARDS_MOST).contains(&shards) {
        return Err(ProbeError::Shards { shards });
    }
    let there: Vec<usize> = core_affinity::get_core_ids().into_iter().flatten().map(|core| core.id).collect();
    if let Some(&core) = cores.iter().find(|core| !there.contains(core)) {
        return Err(ProbeError::NoCore { core, cores: there });
    }
    let locked = raise(Resource::Memlock);
    if locked < LOCKED_BYTES_LEAST {
        return Err(locked_memory(shards));
    }
    let rings = probe_ring().map_err(RingError::into_os_error).and_then(|()| probe_executor_rings());
    rings.map_err(|error| explain(error, shards))?;
    Ok(Machine { open_files: raise(Resource::Nofile), cores: there })
}

fn probe_executor_rings() -> io::Result<()> {
    let rings = (0..EXECUTOR_RINGS).map(|_| IoUring::new(RING_DEPTH as u32));
    rings.collect::<io::Result<Vec<_>>>().map(drop)
}

/// Raises the soft limit to the hard one. Answers the limit; none is the largest number.
fn raise(resource: Resource) -> u64 {
    let limit = getrlimit(resource);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // It can only fail where the soft limit is the hard one already.
    let current = if setrlimit(resource, raised).is_ok() { limit.maximum } else { limit.current };
    current.unwrap_or(u64::MAX)
}

fn locked_memory(shards: u16) -> ProbeError {
    let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
    let needed = LOCKED_BYTES_LEAST.max(LOCKED_BYTES_PER_SHARD * u64::from(shards));
    ProbeError::LockedMemory { limit, needed, shards }
}

/// Why a ring could not be made for one of `shards` shards.
pub(super) fn explain(error: io::Error, shards: u16) -> ProbeError {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => ProbeError::NoIoUring,
        Some(libc::EPERM | libc::EACCES) => match switched_off() {
            Some(value) => ProbeError::SwitchedOff { value },
            None => ProbeError::Forbidden,
        },
        Some(libc::EINVAL) => {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            ProbeError::TooOld { release: release.trim_end().to_owned() }
        }
        Some(libc::ENOMEM) => locked_memory(shards),
        _ => ProbeError::Other { attempt: "making an io_uring", source: error },
    }
}

/// The sysctl that switches io_uring off, if it does.
fn switched_off() -> Option<u8> {
    let value = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    value.trim_end().parse().ok().filter(|value| *value != 0)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{ProbeError, explain, probe};

    #[test]
    fn this_machine_will_do() {
        let machine = probe(1, &[]).expect("the tests need io_uring themselves");
        assert!(machine.open_files > 0 && !machine.cores.is_empty());
    }

    #[test]
    fn cores_that_are_not_there_are_named() {
        let error = probe(1, &[99_999]).expect_err("no such core");
        assert!(matches!(error, ProbeError::NoCore { core: 99_999, .. }), "{error}");
    }

    #[test]
    fn there_is_at_least_one_shard_and_at_most_one_a_bucket() {
        assert!(matches!(probe(0, &[]), Err(ProbeError::Shards { shards: 0 })));
        assert!(matches!(probe(1_025, &[]), Err(ProbeError::Shards { .. })));
    }

    #[test]
    fn every_refusal_of_the_kernel_says_what_to_do() {
        let said = |errno| explain(io::Error::from_raw_os_error(errno), 4).to_string();
        assert!(said(libc::ENOSYS).contains("6.1"));
        assert!(said(libc::EINVAL).contains("6.1"));
        assert!(said(libc::EPERM).contains("io_uring"));
        assert!(said(libc::ENOMEM).contains("ulimit -l 2048"), "{}", said(libc::ENOMEM));
        assert!(said(libc::EMFILE).contains("io_uring failed"));
    }
}

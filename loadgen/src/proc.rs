//! What a process or thread costs, as the kernel counts it in /proc.

use std::fs;

use crate::schedule::Nanos;

/// CPU use of this thread over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadUse {
    /// Time that passed, in nanoseconds.
    pub wall: Nanos,
    /// Time on a CPU.
    pub cpu: Nanos,
    /// Time runnable but not running: another thread had the core.
    pub waiting: Nanos,
}

impl ThreadUse {
    /// What was used since `before`.
    pub fn since(&self, before: &ThreadUse) -> ThreadUse {
        ThreadUse {
            wall: self.wall.saturating_sub(before.wall),
            cpu: self.cpu.saturating_sub(before.cpu),
            waiting: self.waiting.saturating_sub(before.waiting),
        }
    }

    /// Adds another span.
    pub fn add(&mut self, other: &ThreadUse) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.waiting += other.waiting;
    }

    /// Share of the time that it was on a CPU or wanted to be: at 1 it was the limit.
    pub fn busy_share(&self) -> f64 {
        (self.cpu + self.waiting) as f64 / self.wall.max(1) as f64
    }
}

/// This thread's use since it started; `now` for the wall clock. Without schedstat, zero.
pub fn thread_use(now: Nanos) -> ThreadUse {
    let (cpu, waiting) = schedstat("/proc/thread-self/schedstat").unwrap_or((0, 0));
    ThreadUse { wall: now, cpu, waiting }
}

fn schedstat(path: &str) -> Option<(Nanos, Nanos)> {
    parse_schedstat(&fs::read_to_string(path).ok()?)
}

fn parse_schedstat(text: &str) -> Option<(Nanos, Nanos)> {
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The broker's process, for what it costs.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// CPU time of all its threads, in nanoseconds. A thread that ends takes its time with it.
    pub fn cpu(self) -> Option<Nanos> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).ok()?;
        let of = |task: fs::DirEntry| schedstat(task.path().join("schedstat").to_str()?).map(|(cpu, _)| cpu);
        Some(tasks.flatten().filter_map(of).sum())
    }

    /// Resident memory, in bytes.
    pub fn resident(self) -> Option<u64> {
        parse_resident(&fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?)
    }
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(parse_schedstat("123 45 6\n"), Some((123, 45)));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 << 10));
        let me = Process(std::process::id());
        assert!(me.cpu().is_some_and(|ns| ns > 0));
        assert!(me.resident().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn a_thread_that_waited_for_its_core_was_busy() {
        let used = ThreadUse { wall: 100, cpu: 50, waiting: 45 };
        assert!((used.busy_share() - 0.95).abs() < 1e-9);
    }
}

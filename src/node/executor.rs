//! One glommio executor a shard, pinned to a core, and the task on it that makes the turns.
//!
//! The shard sleeps in its own ring, because that is cheapest; glommio sleeps with it. Only while somebody waits for
//! glommio (a file, a timer: see [`Patience`]) the shard sleeps in glommio's park.

use std::cell::Cell;
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crossbeam_channel::Sender;
use glommio::io::BufferedFile;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};

use super::driver::{Driver, DriverConfig, Next};
use super::priority::come_first;
use crate::net::RingError;
use crate::net::socket::{take_over, waiting_event};

/// glommio can park with a task that could run: when its preemption timer fires before it has run any. A timer bounds
/// for how long. It must not be one that has just fired and whose task is the one that could run, or nothing ends the
/// park: so it is set anew whenever the shard gives way.
const LIFE: Duration = Duration::from_millis(100);
/// The same for a shard that was not given the core for `LIFE` while it gave way.
const AFTER_LIFE: Duration = Duration::from_secs(1);
/// Entries of each of glommio's three rings.
pub(super) const RING_DEPTH: usize = 128;
/// Memory that glommio registers for files: the least it takes.
const IO_MEMORY: usize = 64 << 10;
/// How often a shard that is always busy lets other tasks run.
const PREEMPT: Duration = Duration::from_millis(5);

/// Counts who waits for glommio on this executor. While anybody does, the shard sleeps where glommio's completions
/// wake it.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    waiting: Rc<Cell<u32>>,
}

impl Patience {
    /// Waits for something of glommio's. Every task on a shard's executor that does must do it through here.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "nothing on a shard reads files yet; the disk journal will")
    )]
    pub(super) async fn wait<T>(&self, for_it: impl Future<Output = T>) -> T {
        self.waiting.set(self.waiting.get() + 1);
        let it = for_it.await;
        self.waiting.set(self.waiting.get() - 1);
        it
    }

    fn is_asked_for(&self) -> bool {
        self.waiting.get() > 0
    }
}

/// Starts the executor. `ready` hears when the shard is about to make its first turn, or why it never will.
pub(super) fn spawn(
    config: DriverConfig,
    ready: Sender<Result<(), RingError>>,
) -> Result<ExecutorJoinHandle<()>, GlommioError<()>> {
    LocalExecutorBuilder::new(Placement::Fixed(config.core))
        .name("shard")
        .ring_depth(RING_DEPTH)
        .io_memory(IO_MEMORY)
        .preempt_timer(PREEMPT)
        .spawn(move || async move {
            come_first();
            match Driver::new(config) {
                Ok(driver) => {
                    let _ = ready.send(Ok(()));
                    run(driver, Patience::default()).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })
}

/// Makes turns until the shard has stopped.
pub(super) async fn run(mut driver: Driver, patience: Patience) {
    glommio::spawn_local(async {
        loop {
            glommio::timer::sleep(AFTER_LIFE).await;
        }
    })
    .detach();
    let mut park = None;
    loop {
        match driver.turn() {
            Next::Turn if glommio::executor().need_preempt() => give_way().await,
            Next::Turn => {}
            Next::Sleep => {
                // Tasks that can run do so first: they may begin to wait.
                give_way().await;
                if let Some(limit) = driver.fall_asleep() {
                    if patience.is_asked_for() {
                        park.get_or_insert_with(|| Park::new(&mut driver)).sleep(&mut driver, limit).await;
                    } else {
                        driver.net.sleep(limit);
                    }
                }
                driver.wake_up();
            }
            Next::End => return,
        }
    }
}

/// Lets other tasks run.
async fn give_way() {
    let mut life = pin!(glommio::timer::sleep(LIFE));
    // Polled once it is set, and stays so until it is dropped.
    poll_fn(|context| {
        let _pending = life.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    glommio::executor().yield_task_queue_now().await;
}

/// The other place to sleep: glommio's park, woken by the shard's ring through an event. Ten microseconds dearer.
struct Park {
    event: BufferedFile,
}

impl Park {
    fn new(driver: &mut Driver) -> Park {
        let event = waiting_event().expect("a shard that runs can have one descriptor more");
        driver.net.register_event(event.as_fd()).expect("a ring takes one event");
        Park { event: take_over(event) }
    }

    async fn sleep(&mut self, driver: &mut Driver, limit: Duration) {
        driver.net.watch(limit);
        // What came before the watch began signals nothing.
        if !driver.net.is_ready() {
            self.event.read_at(0, 8).await.expect("an event can be read");
        }
        driver.net.unwatch();
    }
}

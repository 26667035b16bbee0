//! Signals as events of the control thread. Knows nothing of what is done about them.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::thread::Event;

/// What a shell reports for a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// From here on signals are events: SIGTERM and SIGINT stop in order, SIGHUP applies the file, SIGUSR1 reports the
/// counters. A second SIGTERM or SIGINT ends the process at once.
///
/// # Errors
/// The handlers cannot be installed.
pub(super) fn watch(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let watching = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let event = match signal {
                SIGHUP => Event::Apply,
                SIGUSR1 => Event::Report,
                _ if stopping => signal_hook::low_level::exit(INTERRUPTED),
                _ => {
                    stopping = true;
                    Event::Stop
                }
            };
            // Nobody listens any more once the broker has stopped.
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watching).map(|_| ())
}

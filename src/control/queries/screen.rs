//! A terminal that is drawn on as a whole. However the command ends - by its end, an error, a panic, a signal - the
//! terminal is as it was before. Knows nothing of what is drawn.

use std::io::{self, IsTerminal, Stdout, Write, stdin, stdout};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::control::failure::{Exit, Failure};
use crate::control::terminal::Colours;

/// So often it is looked whether a signal has come.
const SIGNAL_LOOK: Duration = Duration::from_millis(100);

/// What came while waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Key(KeyEvent),
    Resized,
    /// A signal: the process is to end.
    Ended,
    Nothing,
}

/// The terminal, for as long as this lives.
pub(super) struct Screen {
    out: Stdout,
    colours: Colours,
    ended: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open() -> Result<Screen, Failure> {
        if !stdout().is_terminal() || !stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Given,
                "this needs a terminal",
                "`tidemq status --watch` writes to a file or a pipe, `tidemq top --json` once for machines",
            ));
        }
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGHUP, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(|error| failed(&error))?;
        }
        restore_on_panic();
        let screen = Screen { out: stdout(), colours: Colours::of(&stdout()), ended };
        terminal::enable_raw_mode().map_err(|error| failed(&error))?;
        // From here on an error gives it back: `screen` is dropped.
        execute!(&screen.out, EnterAlternateScreen, Hide).map_err(|error| failed(&error))?;
        Ok(screen)
    }

    pub(super) fn colours(&self) -> Colours {
        self.colours
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        terminal::size().unwrap_or((80, 24))
    }

    /// Draws these lines from the top.
    pub(super) fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let all = || -> io::Result<()> {
            let mut out = self.out.lock();
            for (row, line) in lines.iter().enumerate() {
                let row = u16::try_from(row).unwrap_or(u16::MAX);
                queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
            }
            queue!(out, Clear(ClearType::FromCursorDown))?;
            out.flush()
        };
        all().map_err(|error| failed(&error))
    }

    /// Waits for a key, no longer than this.
    pub(super) fn wait(&mut self, most: Duration) -> Result<Happened, Failure> {
        let until = Instant::now() + most;
        loop {
            if self.ended.load(Ordering::Relaxed) {
                return Ok(Happened::Ended);
            }
            let left = until.saturating_duration_since(Instant::now());
            if event::poll(left.min(SIGNAL_LOOK)).map_err(|error| failed(&error))? {
                match event::read().map_err(|error| failed(&error))? {
                    Event::Key(key) if key.kind == KeyEventKind::Press => return Ok(Happened::Key(key)),
                    Event::Resize(..) => return Ok(Happened::Resized),
                    _ => {}
                }
            } else if left.is_zero() {
                return Ok(Happened::Nothing);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // A terminal that is gone needs nothing back.
    let _gone = execute!(stdout(), Show, LeaveAlternateScreen);
    let _gone = terminal::disable_raw_mode();
}

/// A panic may end the process at once, without dropping anything; and what it says belongs on the terminal as it was.
fn restore_on_panic() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Fault, format!("the terminal failed: {error}"), "")
}

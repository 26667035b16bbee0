//! The socket in the data directory by which `tidemq config apply` asks the running broker and learns the answer.
//! Who may write in the data directory may ask. Knows nothing of what an answer holds.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::serve::Event;

/// A path in a socket address ends at 108 bytes, its terminator included.
const SOCKET_PATH_BYTES: usize = 107;

/// Longest request, in bytes.
const REQUEST_BYTES: u64 = 64;

/// Who connects and says nothing is dropped.
const SILENCE: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Apply the file.
    Apply,
    /// Report the counters.
    Report,
    /// List the connections that were not let in.
    Rejections,
}

const ASKS: [(&str, Ask); 3] =
    [("apply", Ask::Apply), ("report", Ask::Report), ("rejections", Ask::Rejections)];

/// What was asked, and where the answer goes.
pub(super) struct Request {
    pub(super) ask: Ask,
    reply: SyncSender<Answer>,
}

impl Request {
    /// Answers. Who asked may be gone.
    pub(super) fn answer(self, answer: Answer) {
        let _gone = self.reply.send(answer);
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Exit code of who asked.
    pub(super) exit: u8,
    /// What to tell; without a line break at its end.
    pub(super) text: String,
}

/// The socket's place, short enough for an address however long the directory's name is.
struct Place {
    address: PathBuf,
    _folder: File,
}

fn place(data: &Path) -> io::Result<Place> {
    let folder = File::open(data)?;
    let plain = data.join("control.sock");
    let address = if plain.as_os_str().len() <= SOCKET_PATH_BYTES {
        plain
    } else {
        PathBuf::from(format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd()))
    };
    Ok(Place { address, _folder: folder })
}

/// Takes requests as events until the process ends. Call it while holding the directory's lock.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn listen(data: &Path, events: Sender<Event>) -> io::Result<()> {
    let place = place(data)?;
    match fs::remove_file(&place.address) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&place.address)?;
    fs::set_permissions(&place.address, Permissions::from_mode(0o600))?;
    let serving = move || {
        for stream in listener.incoming() {
            match stream.and_then(|stream| serve_one(&stream, &events)) {
                Ok(Served::Answered) => {}
                Ok(Served::Stopped) => return,
                Err(error) => tracing::debug!("a request on the control socket failed: {error}"),
            }
        }
    };
    thread::Builder::new().name("requests".into()).spawn(serving).map(|_| ())
}

enum Served {
    Answered,
    Stopped,
}

fn serve_one(mut stream: &UnixStream, events: &Sender<Event>) -> io::Result<Served> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES)).read_line(&mut line)?;
    let Some((_, ask)) = ASKS.iter().find(|(word, _)| *word == line.trim_end()) else {
        writeln!(stream, "1\nthis broker does not know the request {line:?}")?;
        return Ok(Served::Answered);
    };
    let (reply, answer) = sync_channel(1);
    if events.send(Event::Asked(Request { ask: *ask, reply })).is_err() {
        return Ok(Served::Stopped);
    }
    // The control thread drops the request unanswered only when it stops.
    let Ok(answer) = answer.recv() else { return Ok(Served::Stopped) };
    writeln!(stream, "{}\n{}", answer.exit, answer.text)?;
    Ok(Served::Answered)
}

/// Asks the broker that runs on `data` and waits for its answer.
///
/// # Errors
/// None runs, or it went away without an answer.
pub(super) fn ask(data: &Path, ask: Ask) -> io::Result<Answer> {
    let place = place(data)?;
    let mut stream = UnixStream::connect(&place.address)?;
    let (word, _) = ASKS.iter().find(|(_, known)| *known == ask).expect("the table names every request");
    writeln!(stream, "{word}")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    let parsed = said.split_once('\n').and_then(|(exit, text)| {
        let exit = exit.parse().ok()?;
        Some(Answer { exit, text: text.trim_end().to_owned() })
    });
    parsed
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the broker went away without an answer"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn answered_through(data: &Path) {
        let (events, taken) = channel();
        listen(data, events).unwrap();
        let answering = thread::spawn(move || {
            let Ok(Event::Asked(request)) = taken.recv() else { panic!("not a request") };
            assert_eq!(request.ask, Ask::Apply);
            request.answer(Answer { exit: 4, text: "first\nsecond".into() });
        });
        let answer = ask(data, Ask::Apply).unwrap();
        assert_eq!(answer, Answer { exit: 4, text: "first\nsecond".into() });
        answering.join().unwrap();
    }

    #[test]
    fn a_request_is_an_event_and_its_answer_comes_back() {
        let temp = tempfile::tempdir().unwrap();
        answered_through(temp.path());
        // What a crashed broker left behind is in nobody's way.
        answered_through(temp.path());
        let mode = fs::metadata(temp.path().join("control.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_directory_may_have_a_long_name() {
        let temp = tempfile::tempdir().unwrap();
        let long = temp.path().join("d".repeat(150));
        fs::create_dir(&long).unwrap();
        answered_through(&long);
    }

    #[test]
    fn without_a_broker_there_is_an_error_and_an_unknown_request_is_said_to_be_one() {
        let temp = tempfile::tempdir().unwrap();
        assert!(ask(temp.path(), Ask::Report).is_err());
        let (events, _taken) = channel();
        listen(temp.path(), events).unwrap();
        let mut stream = UnixStream::connect(temp.path().join("control.sock")).unwrap();
        stream.write_all(b"explode\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("1\n") && said.contains("explode"), "{said}");
    }
}

//! Asks the running broker, by the API on the socket of its data directory. What it answers as a problem is a [`Failure`]
//! here, with the same exit code, cause and remedy. Knows no question.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admin::problem::Problem;
use super::failure::{Exit, Failure};
use super::{data_dir, socket};

/// Where the API begins.
pub(super) const API: &str = "/api/v1";

/// A broker to be asked.
pub(super) struct Client {
    data: PathBuf,
}

/// What it answered.
pub(super) struct Answer {
    /// `application/json`
    pub(super) kind: String,
    /// The body.
    pub(super) bytes: Vec<u8>,
}

impl Client {
    /// The one that runs on a data directory.
    pub(super) fn new(data: &Path) -> Client {
        Client { data: data.to_owned() }
    }

    /// Whether one runs there and can be asked.
    pub(super) fn is_there(&self) -> bool {
        socket::connect(&self.data).is_ok()
    }

    /// Reads what is at a path below [`API`].
    ///
    /// # Errors
    /// No broker runs, or why it does not answer.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Method::GET, path, None)?.parse()
    }

    /// The same with something to do: `None` sends no body.
    ///
    /// # Errors
    /// No broker runs, or why it was not done.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        self.send(method, path, body)?.parse()
    }

    /// The same, and the answer as it came.
    ///
    /// # Errors
    /// No broker runs, or why it was not done.
    pub(super) fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let stream = self.connect()?;
        let request = request(method, &format!("{API}{path}"), body)?;
        runtime()?.block_on(exchange(stream, request)).map_err(|error| unanswered(&error))?.granted()
    }

    /// Reads a stream of server-sent events: `each` gets the event's name and its data, and says whether to go on.
    ///
    /// # Errors
    /// No broker runs, or why it does not answer; that it went away is an end.
    pub(super) fn events(
        &self,
        path: &str,
        mut each: impl FnMut(&str, &str) -> io::Result<()>,
    ) -> Result<(), Failure> {
        use std::io::Write;
        let mut stream = self.connect()?;
        let head =
            format!("GET {API}{path} HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(head.as_bytes()).map_err(|error| unanswered(&error))?;
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next().transpose().map_err(|error| unanswered(&error))?.unwrap_or_default();
        // With HTTP/1.0 an answer ends with its connection, and nothing stands between its lines.
        for line in lines.by_ref() {
            if line.map_err(|error| unanswered(&error))?.is_empty() {
                break;
            }
        }
        if status.split(' ').nth(1) != Some("200") {
            let text: String = lines.map_while(Result::ok).collect();
            return Err(refused(text.as_bytes(), &status));
        }
        let mut name = String::new();
        for line in lines {
            let Ok(line) = line else { return Ok(()) };
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                match each(&name, data) {
                    // Whoever reads what we write is gone: `| head`.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => return Err(Failure::new(Exit::Fault, error, "")),
                    Ok(()) => name.clear(),
                }
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<std::os::unix::net::UnixStream, Failure> {
        socket::connect(&self.data).map_err(|error| {
            if data_dir::in_use(&self.data).is_some() {
                return unanswered(&error);
            }
            let cause = format!("no broker runs on {}", self.data.display());
            Failure::new(Exit::NotRunning, cause, "name its data directory with `--data DIR`")
        })
    }
}

impl Answer {
    fn granted(self) -> Result<Answer, Failure> {
        if self.kind.starts_with("application/problem") {
            return Err(refused(&self.bytes, "an answer that cannot be read"));
        }
        Ok(self)
    }

    fn parse<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let bytes = if self.bytes.is_empty() { b"null" } else { self.bytes.as_slice() };
        serde_json::from_slice(bytes).map_err(|error| {
            let cause = format!("the broker's answer cannot be read: {error}");
            Failure::new(Exit::Fault, cause, "see whether broker and command are of one version")
        })
    }
}

fn request(method: Method, path: &str, body: Option<&Value>) -> Result<Request<Full<Bytes>>, Failure> {
    let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
    let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(bytes)).map_err(|error| Failure::new(Exit::Given, error, ""))
}

async fn exchange(
    stream: std::os::unix::net::UnixStream,
    request: Request<Full<Bytes>>,
) -> io::Result<Answer> {
    stream.set_nonblocking(true)?;
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
    // It ends with the sender.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // An answer without a word about it is a problem all the same.
    let plain_failure = status.as_u16() >= StatusCode::BAD_REQUEST.as_u16() && !kind.contains("problem");
    let kind = if plain_failure { "application/problem".to_owned() } else { kind.to_owned() };
    let bytes = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    Ok(Answer { kind, bytes })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Machine, error, ""))
}

/// What the broker said of why not.
fn refused(bytes: &[u8], otherwise: &str) -> Failure {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => problem.into(),
        Err(_) => Failure::new(Exit::Fault, otherwise, "see the broker's log"),
    }
}

fn unanswered(error: &io::Error) -> Failure {
    let cause = format!("a broker runs and does not answer: {error}");
    Failure::new(Exit::Fault, cause, "see its log, or send it SIGHUP to apply the file")
}

//! The commands that ask the running broker, by the API on the socket of its data directory. What it answers is shown as
//! text, or handed on as it is.

mod clients;
mod console;
mod generations;
mod rejected;
mod retained;
mod screen;
mod status;
mod top;
mod trace;

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use self::clients::{Clients, Subscriptions};
pub(super) use self::console::Console;
pub(super) use self::generations::{Generations, Guarded};
pub(super) use self::rejected::Rejected;
pub(super) use self::retained::Retained;
pub(super) use self::status::StatusAsked;
pub(super) use self::top::Top;
pub(super) use self::trace::Trace;
use super::cli::Place;
use super::client::Client;
use super::commands;
use super::failure::Failure;

/// Rows that the API answers with at most.
const PAGE: usize = 1_000;

/// The broker that a command line means.
fn broker(place: &Place) -> Result<Client, Failure> {
    Ok(Client::new(&commands::paths(place)?.data))
}

/// A query behind a path: what has no value is left out.
#[derive(Debug, Default)]
struct Query(String);

impl Query {
    fn with(mut self, name: &str, value: Option<&str>) -> Query {
        if let Some(value) = value {
            let sign = if self.0.is_empty() { '?' } else { '&' };
            let _infallible = write!(self.0, "{sign}{name}={}", encoded(value));
        }
        self
    }
}

/// A text as part of a path or a query, whatever it holds.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A list that the API answers in pages.
trait Page: DeserializeOwned {
    type Row: Serialize;
    fn into_rows(self) -> (Vec<Self::Row>, Option<String>);
}

/// Rows of all pages, `most` at most. `path` makes the path of a page from its length and where it begins.
fn pages<P: Page>(
    broker: &Client,
    most: usize,
    path: impl Fn(&str, Option<&str>) -> String,
) -> Result<Vec<P::Row>, Failure> {
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    while rows.len() < most {
        let wanted = (most - rows.len()).min(PAGE).to_string();
        let (more, next) = broker.get::<P>(&path(&wanted, after.as_deref()))?.into_rows();
        rows.extend(more);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_it_stays_one_part_of_a_path() {
        assert_eq!(encoded("a/b?c=d&e#f%g h\0ü"), "a%2Fb%3Fc%3Dd%26e%23f%25g%20h%00%C3%BC");
        assert_eq!(encoded("Device-1_2.3~"), "Device-1_2.3~");
        let query = Query::default().with("text", Some("a b")).with("none", None).with("most", Some("1"));
        assert_eq!(query.0, "?text=a%20b&most=1");
    }
}

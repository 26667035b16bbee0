//! `tidemq retained`: what is retained, shown and removed.

use std::io::{Write, stdout};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use hyper::Method;
use serde_json::json;

use super::{Page, Query, broker, pages};
use crate::control::admin::ops::retained::{RetainedListed, RetainedPage, RetainedShown};
use crate::control::cli::Place;
use crate::control::escape;
use crate::control::failure::{Exit, Failure};
use crate::control::output::{code, show, tell};
use crate::control::table::Table;

/// Bytes of a payload that is no text, in a line.
const BYTES_A_LINE: usize = 16;
/// Bytes of such a payload that are shown; `--raw` writes all of it.
const BYTES_MOST: usize = 1_024;

/// `tidemq retained`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Retained {
    /// Lists retained messages in the order of their topics
    List {
        #[command(flatten)]
        place: Place,
        /// Those whose topics this filter matches; `$SYS/#` are the broker's own
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// Those with this text in their topic
        #[arg(long, value_name = "TEXT", default_value = "")]
        text: String,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        most: usize,
    },
    /// Shows a retained message
    Show {
        #[command(flatten)]
        place: Place,
        /// Its topic
        topic: String,
        /// Write the payload as it is and nothing else
        #[arg(long, conflicts_with = "json")]
        raw: bool,
    },
    /// Removes a retained message: later subscribers do not get it, and nobody is told
    Remove {
        #[command(flatten)]
        place: Place,
        /// Its topic
        topic: String,
    },
}

impl Page for RetainedPage {
    type Row = RetainedListed;

    fn into_rows(self) -> (Vec<RetainedListed>, Option<String>) {
        (self.messages, self.next)
    }
}

impl Retained {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Retained::List { place, filter, text, most } => {
                let path = |most: &str, after: Option<&str>| {
                    let query = Query::default().with("text", Some(text)).with("filter", filter.as_deref());
                    format!("/retained{}", query.with("most", Some(most)).with("after", after).0)
                };
                let messages = pages::<RetainedPage>(&broker(place)?, *most, path)?;
                Ok(show(&json!({ "messages": messages }), |_| listed(&messages)))
            }
            Retained::Show { place, topic, raw } => {
                let found: RetainedShown = broker(place)?.get(&of(topic))?;
                if *raw {
                    let mut out = stdout();
                    return Ok(code(out.write_all(&payload(&found)?).and_then(|()| out.flush())));
                }
                let bytes = payload(&found)?;
                Ok(show(&found, |found| shown(found, &bytes)))
            }
            Retained::Remove { place, topic } => {
                broker(place)?.call::<()>(Method::DELETE, &of(topic), None)?;
                Ok(tell(&format!("nothing is retained for {} any more", escape::line(topic))))
            }
        }
    }
}

fn of(topic: &str) -> String {
    format!("/retained/message{}", Query::default().with("topic", Some(topic)).0)
}

fn payload(found: &RetainedShown) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(&found.payload).map_err(|error| {
        Failure::new(
            Exit::Fault,
            format!("the broker's answer cannot be read: {error}"),
            "see whether broker and command are of one version",
        )
    })
}

fn listed(messages: &[RetainedListed]) -> String {
    if messages.is_empty() {
        return "there are no such retained messages".into();
    }
    let mut table = Table::new(&["topic", "qos", "bytes", "stored", "expires_in_s"]);
    for message in messages {
        table.push(vec![
            message.topic.as_str().into(),
            message.qos.into(),
            message.payload_bytes.into(),
            message.stored.as_str().into(),
            message.expires_in_secs.into(),
        ]);
    }
    table.text()
}

fn shown(found: &RetainedShown, payload: &[u8]) -> String {
    let RetainedListed { topic, qos, payload_bytes, stored, expires_in_secs } = &found.listed;
    let mut lines = vec![
        ("Topic", escape::line(topic)),
        ("QoS", qos.to_string()),
        ("Stored", stored.clone()),
        ("Expires", expires_in_secs.map_or_else(|| "never".into(), |secs| format!("in {secs} s"))),
    ];
    for (name, text) in [("Content type", &found.content_type), ("Response", &found.response_topic)] {
        lines.extend(text.as_deref().map(|text| (name, escape::line(text))));
    }
    for property in &found.user_properties {
        lines.push(("Property", escape::line(&format!("{}: {}", property.name, property.value))));
    }
    lines.push(("Payload", format!("{payload_bytes} bytes")));
    let lines: Vec<String> = lines.iter().map(|(name, text)| format!("{name:<12} {text}")).collect();
    let payload = match &found.text {
        Some(text) => text.split('\n').map(escape::line).collect::<Vec<_>>().join("\n"),
        None => dump(payload),
    };
    format!("{}\n\n{payload}", lines.join("\n"))
}

/// Bytes in hexadecimal digits, with what of them is printable.
fn dump(payload: &[u8]) -> String {
    let mut lines = Vec::new();
    for (index, bytes) in payload.chunks(BYTES_A_LINE).take(BYTES_MOST / BYTES_A_LINE).enumerate() {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let printable = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(printable).collect();
        let width = BYTES_A_LINE * 3;
        lines.push(format!("{:08x}  {digits:<width$} {text}", index * BYTES_A_LINE));
    }
    if payload.len() > BYTES_MOST {
        lines.push(format!("... {} bytes more; `--raw` writes all of it", payload.len() - BYTES_MOST));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_digits_and_bounded() {
        assert_eq!(dump(b"\x00\x01abc"), format!("00000000  {:<48} ..abc", "00 01 61 62 63"));
        let long = dump(&vec![0xff; BYTES_MOST + 1]);
        assert_eq!(long.lines().count(), BYTES_MOST / BYTES_A_LINE + 1);
        assert!(long.ends_with("... 1 bytes more; `--raw` writes all of it"));
    }
}

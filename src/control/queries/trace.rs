//! `tidemq trace`: packets while they pass, until Ctrl-C.

use std::io::{self, IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Query, broker};
use crate::control::cli::Place;
use crate::control::escape;
use crate::control::failure::{Exit, Failure};
use crate::control::output::{self, Form};
use crate::control::terminal::{Colours, Tone};

/// `tidemq trace`
#[derive(Args, Debug)]
pub(in crate::control) struct Trace {
    #[command(flatten)]
    place: Place,
    /// Packets of this client only; it need not be connected yet
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Packets with a topic that this filter matches, and no others
    #[arg(long, value_name = "FILTER")]
    topic: Option<String>,
    /// Which way: from clients, to clients, or both
    #[arg(long, value_enum, default_value_t = Way::Both)]
    direction: Way,
    /// These types of packets only, such as publish,subscribe
    #[arg(long, value_name = "TYPES")]
    packets: Option<String>,
    /// How much of each payload is shown, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(0..=4_096))]
    payload: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Both,
    In,
    Out,
}

impl Trace {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let direction = match self.direction {
            Way::Both => "both",
            Way::In => "in",
            Way::Out => "out",
        };
        let query = Query::default()
            .with("client_id", self.client.as_deref())
            .with("topic", self.topic.as_deref())
            .with("direction", Some(direction))
            .with("packets", self.packets.as_deref())
            .with("payload_bytes", Some(&self.payload.to_string()));
        let ended = Arc::new(AtomicBool::new(false));
        end_in_order(&ended)?;
        let colours = Colours::of(&stdout());
        broker(&self.place)?.events(&format!("/trace{}", query.0), |event, data| {
            if ended.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            match (event, output::form()) {
                ("armed", _) => {
                    // Whoever starts it in a script waits for this before it does what is to be seen.
                    eprintln!("listening; Ctrl-C ends it");
                    Ok(())
                }
                ("packet", Form::Json) => output::line(&mut stdout(), data),
                ("packet", Form::Text) => output::line(&mut stdout(), described(data, colours)),
                ("lost", Form::Json) => output::line(&mut stdout(), format_args!("{{\"lost\":{data}}}")),
                ("lost", Form::Text) => {
                    output::line(&mut stdout(), format_args!("... {data} packets were lost here"))
                }
                _ => Ok(()),
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Ctrl-C and SIGTERM end the command with 0: it was told to go on until then. What it wrote is whole lines.
fn end_in_order(ended: &Arc<AtomicBool>) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::new(Exit::Fault, format!("signals cannot be taken: {error}"), "");
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let ended = Arc::clone(ended);
    let wait = move || {
        if signals.forever().next().is_some() {
            ended.store(true, Ordering::Relaxed);
            // A line that is being written is finished first: whoever has the lock writes one.
            let mut out = stdout().lock();
            let newline: &[u8] = if out.is_terminal() { b"\n" } else { b"" };
            let _gone = out.write_all(newline).and_then(|()| out.flush());
            std::process::exit(0);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(|_| ()).map_err(failed)
}

/// A packet for people: `12:00:00.000000  in   client  PUBLISH  topic  q1  text`.
fn described(data: &str, colours: Colours) -> String {
    let Ok(Value::Object(packet)) = serde_json::from_str::<Value>(data) else { return escape::line(data) };
    let text = |name: &str| packet.get(name).and_then(Value::as_str).map(escape::line);
    let number = |name: &str| packet.get(name).and_then(Value::as_u64);
    let is = |name: &str| packet.get(name).and_then(Value::as_bool).unwrap_or(false);
    let time = text("time").unwrap_or_default();
    let clock = time.split(['T', 'Z']).nth(1).unwrap_or(&time).to_owned();
    let incoming = text("direction").as_deref() == Some("in");
    let arrow = if incoming { colours.paint(Tone::Good, "->") } else { colours.paint(Tone::Doubtful, "<-") };
    let kind = text("packet").unwrap_or_default().to_uppercase();
    let mut line = format!(
        "{} {arrow} {:<20} {}",
        colours.paint(Tone::Faint, &clock),
        text("client_id").unwrap_or_default(),
        colours.paint(Tone::Strong, &kind)
    );
    let mut add = |word: String| {
        line.push(' ');
        line.push_str(&word);
    };
    number("packet_id").into_iter().for_each(|id| add(format!("#{id}")));
    text("topic").into_iter().for_each(&mut add);
    number("qos").into_iter().for_each(|qos| add(format!("q{qos}")));
    for flag in ["retain", "dup"] {
        if is(flag) {
            add(flag.to_owned());
        }
    }
    for filter in packet.get("filters").and_then(Value::as_array).into_iter().flatten() {
        let name = filter["filter"].as_str().map(escape::line).unwrap_or_default();
        add(match filter["qos"].as_u64() {
            Some(qos) => format!("{name}:q{qos}"),
            None => name,
        });
    }
    for reason in packet.get("codes").and_then(Value::as_array).into_iter().flatten() {
        add(format!("0x{:02x}", reason.as_u64().unwrap_or_default()));
    }
    for detail in packet.get("details").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| detail[name].as_str().map(escape::line).unwrap_or_default();
        add(format!("{}={}", part("name"), part("value")));
    }
    if let Some(bytes) = number("payload_bytes") {
        add(format!("({bytes} bytes)"));
    }
    text("payload").into_iter().for_each(&mut add);
    text("payload_base64").into_iter().for_each(|payload| add(format!("base64:{payload}")));
    if is("cut") {
        add("...".to_owned());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_one_line_whatever_it_holds() {
        let data = r#"{"time":"2026-11-30T07:00:00.000007Z","direction":"in","client_id":"x\n\u001b[2J","packet":"publish",
            "topic":"a/b","qos":1,"retain":true,"dup":false,"packet_id":7,"payload_bytes":6,"payload":"hi\nyou","cut":true}"#;
        assert_eq!(
            described(data, Colours::Off),
            "07:00:00.000007 -> x\\n\\u{1b}[2J         PUBLISH #7 a/b q1 retain (6 bytes) hi\\nyou ..."
        );
        let data = r#"{"time":"2026-11-30T07:00:00.000007Z","direction":"out","client_id":"c","packet":"suback",
            "codes":[0,135],"filters":[{"filter":"a/#","qos":1},{"filter":"b","qos":null}],
            "details":[{"name":"keep_alive","value":"60"}]}"#;
        assert_eq!(
            described(data, Colours::Off),
            "07:00:00.000007 <- c                    SUBACK a/#:q1 b 0x00 0x87 keep_alive=60"
        );
    }
}

//! `tidemq rejected`: who was not let in, what clients were refused, and why.

use std::io::stdout;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::broker;
use crate::control::admin::ops::rejected::{Rejected as Answer, RejectionShown};
use crate::control::cli::Place;
use crate::control::client::Client;
use crate::control::escape;
use crate::control::failure::Failure;
use crate::control::output::{self, Form, code, show};

/// Between two looks for more.
const LOOK: Duration = Duration::from_millis(500);

/// `tidemq rejected`
#[derive(Args, Debug)]
pub(in crate::control) struct Rejected {
    #[command(flatten)]
    place: Place,
    /// Go on showing what comes, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

impl Rejected {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let broker = broker(&self.place)?;
        let answer = since(&broker, 0)?;
        if !self.follow {
            return Ok(show(&answer, text));
        }
        let (mut last, mut rejections) = (answer.last, answer.rejections);
        loop {
            for one in &rejections {
                let line = match output::form() {
                    Form::Json => output::document(one),
                    Form::Text => described(one),
                };
                let written = output::line(&mut stdout(), line);
                if written.is_err() {
                    return Ok(code(written));
                }
            }
            thread::sleep(LOOK);
            Answer { rejections, last } = since(&broker, last)?;
        }
    }
}

fn since(broker: &Client, number: u64) -> Result<Answer, Failure> {
    broker.get(&format!("/rejected?since={number}"))
}

fn text(answer: &Answer) -> String {
    if answer.rejections.is_empty() {
        return "nothing was refused".into();
    }
    answer.rejections.iter().map(described).collect::<Vec<_>>().join("\n")
}

/// A line, and what may be done about it on another.
fn described(one: &RejectionShown) -> String {
    let mut line = format!("{}  {}", one.at, one.attempt);
    let quoted = |text: &str| format!("\"{}\"", escape::line(text));
    if let Some(topic) = &one.topic {
        line.push_str(&format!(" {}", quoted(topic)));
    }
    line.push_str(&format!(": {}", escape::line(&one.cause)));
    if let Some(rule) = one.rule {
        line.push_str(&format!(" (rule {rule})"));
    }
    if one.times > 1 {
        line.push_str(&format!(", {} times", one.times));
    }
    let certificate = one.certificate.as_ref();
    let subject = certificate.map(|certificate| escape::line(&certificate.subject));
    for (name, value) in [
        ("peer", one.peer.clone()),
        ("client id", one.client_id.as_deref().map(quoted)),
        ("client name", one.client_name.as_deref().map(quoted)),
        ("user", one.user.as_deref().map(quoted)),
        ("certificate", subject),
        ("SHA-256", certificate.map(|certificate| certificate.thumbprint.clone())),
    ] {
        if let Some(value) = value {
            line.push_str(&format!("  {name} {value}"));
        }
    }
    if !one.remedy.is_empty() {
        line.push_str(&format!("\n    {}", one.remedy));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_told_with_its_remedy_and_cannot_forge_a_line() {
        let one = RejectionShown {
            number: 1,
            times: 3,
            at: "2026-11-30T00:00:00Z".into(),
            attempt: "publish".into(),
            topic: Some("a\nb".into()),
            ground: "rules".into(),
            cause: "rule 2 refuses it".into(),
            remedy: "add a rule".into(),
            rule: Some(2),
            peer: Some("192.0.2.7:4711".into()),
            listener: None,
            client_id: Some("c\x1b[2J".into()),
            client_name: None,
            user: None,
            certificate: None,
        };
        assert_eq!(
            described(&one),
            "2026-11-30T00:00:00Z  publish \"a\\nb\": rule 2 refuses it (rule 2), 3 times  peer 192.0.2.7:4711  \
             client id \"c\\u{1b}[2J\"\n    add a rule"
        );
        assert_eq!(text(&Answer::default()), "nothing was refused");
    }
}

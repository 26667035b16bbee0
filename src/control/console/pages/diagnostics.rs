//! Diagnostics: what was rejected and why; the messages themselves are watched by the page's script.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Shown, settings};
use crate::control::admin::ops;
use crate::control::admin::ops::clients::{By, Client, TopAsked};
use crate::control::admin::ops::rejected::{RejectedAsked, RejectionShown};
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, with_query};
use crate::control::console::text::{bytes, count};
use crate::control::console::trouble::{Trouble, shown};
use crate::control::console::views::diagnostics::{DiagnosticsPage, Rejection, Slow};
use crate::control::console::views::form::Form;
use crate::control::console::views::list::List;
use crate::control::console::views::shell::{Notice, Page};

/// So many slow subscribers are shown.
const SLOW: usize = 10;

pub(super) fn router() -> Router<Console> {
    Router::new().route("/diagnostics", get(page)).route("/diagnostics/log", post(log))
}

async fn page(visit: Visit) -> Shown {
    let notice = visit.notice();
    let (form, _) = settings::form(&visit).await?;
    with(&visit, form, notice).await
}

async fn log(visit: Visit, fields: Fields) -> Shown {
    match settings::saved(&visit, &fields).await {
        Ok(notice) => Ok(visit.to("/diagnostics", notice)),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let (form, notice) = settings::refused(&visit, fields, &problem).await?;
            Ok((status, with(&visit, form, Some(notice)).await?).into_response())
        }
    }
}

async fn with(visit: &Visit, form: Form, notice: Option<Notice>) -> Result<Response, Trouble> {
    let shell = visit.shell_saying(Page::Diagnostics, notice).await?;
    let rejected = ops::rejected::list(&visit.app().desk, RejectedAsked::default()).await?;
    let query = visit.asked("q").to_lowercase();
    let found = rejected.rejections.iter().rev().filter(|one| holds(one, &query)).map(row).collect();
    let (list, rejections) =
        List::of("/diagnostics", visit.asked("q"), visit.number("offset").unwrap_or(0), found);
    let asked = TopAsked { by: By::BacklogBytes, most: Some(SLOW) };
    let top = ops::clients::top(&visit.app().desk, asked).await?;
    let slow = top.iter().filter(|client| waits(client)).map(slow).collect();
    let (client, topic) = (outside(visit.asked("client")), outside(visit.asked("topic")));
    Ok(shown(&DiagnosticsPage { shell, form, client, topic, list, rejections, slow }))
}

fn output(client: &Client) -> usize {
    client.connection.as_ref().map_or(0, |connection| connection.output_bytes)
}

fn waits(client: &Client) -> bool {
    client.backlog_messages > 0 || output(client) > 0
}

fn slow(client: &Client) -> Slow {
    Slow {
        id: outside(&client.client_id),
        url: with_query("/clients/one", &[("id", &client.client_id)]),
        messages: count(client.backlog_messages as u64),
        bytes: bytes(client.backlog_bytes as u64),
        output: bytes(output(client) as u64),
    }
}

fn texts(one: &RejectionShown) -> Vec<&str> {
    let certificate = one.certificate.as_ref();
    let subject = certificate.map(|certificate| certificate.subject.as_str());
    let thumbprint = certificate.map(|certificate| certificate.thumbprint.as_str());
    let texts = [&one.client_id, &one.client_name, &one.user, &one.peer, &one.topic];
    let texts = texts.into_iter().filter_map(|text| text.as_deref());
    texts
        .chain(subject)
        .chain(thumbprint)
        .chain([one.attempt.as_str(), one.ground.as_str(), one.cause.as_str()])
        .collect()
}

fn holds(one: &RejectionShown, query: &str) -> bool {
    texts(one).iter().any(|text| text.to_lowercase().contains(query))
}

fn row(one: &RejectionShown) -> Rejection {
    let named =
        |what: &str, text: &Option<String>| text.as_ref().map(|text| outside(format!("{what} {text}")));
    let subject = one.certificate.as_ref().map(|certificate| outside(&certificate.subject));
    let who = [
        named("client id", &one.client_id),
        named("name", &one.client_name.clone().filter(|name| !name.is_empty())),
        named("user", &one.user),
        subject,
        one.peer.as_ref().map(outside),
        named("to", &one.listener),
    ];
    let action = match one.attempt.as_str() {
        "publish" | "will" => Some("publish"),
        "subscribe" => Some("subscribe"),
        _ => None,
    };
    let test = action.zip(one.topic.as_deref()).map(|(action, topic)| {
        let client = one.client_name.as_deref().unwrap_or_default();
        let query = [("client", client), ("action", action), ("topic", topic)];
        format!("{}#test-name", with_query("/configuration/topic-access-rules", &query))
    });
    let of_certificate =
        matches!(one.attempt.as_str(), "handshake" | "connect" | "stay") && one.ground == "certificate";
    Rejection {
        when: outside(&one.at),
        kind: outside(kind(&one.attempt)),
        times: one.times,
        who: who.into_iter().flatten().collect(),
        topic: one.topic.as_ref().map(outside),
        thumbprint: one.certificate.as_ref().map(|certificate| certificate.thumbprint.clone()),
        authorize: of_certificate,
        cause: outside(&one.cause),
        remedy: Some(one.remedy.as_str()).filter(|remedy| !remedy.is_empty()).map(outside),
        test,
    }
}

/// What was attempted, for people.
fn kind(attempt: &str) -> &str {
    match attempt {
        "handshake" => "handshake",
        "connect" => "connection",
        "stay" => "put out by Apply",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection() -> RejectionShown {
        let text = serde_json::json!({
            "number": 7, "times": 2, "at": "2026-11-30T07:00:00Z", "attempt": "publish", "topic": "/device2/temperature",
            "ground": "rules", "cause": "refused by rule 1", "remedy": "add a rule", "rule": 1, "peer": "192.0.2.7:4711",
            "listener": "tcp", "client_id": "one", "client_name": "device1", "user": null, "certificate": null,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_refused_publish_leads_to_the_test_of_the_rules() {
        let row = row(&rejection());
        let url = "/configuration/topic-access-rules?client=device1&action=publish&topic=%2Fdevice2%2Ftemperature#test-name";
        assert_eq!(row.test.as_deref(), Some(url));
        assert!(!row.authorize);
    }

    #[test]
    fn a_rejection_is_found_by_whatever_is_shown_of_it() {
        for query in ["device1", "192.0.2", "temperature", "rule 1", "publish", ""] {
            assert!(holds(&rejection(), query), "{query}");
        }
        assert!(!holds(&rejection(), "device3"));
    }
}

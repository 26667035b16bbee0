//! The tests that guard Apply: kept in the draft, tried by it, removed.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use super::settings::values;
use crate::control::admin::ops;
use crate::control::admin::ops::rules::Which;
use crate::control::admin::ops::trials::{RuleAction, RuleTest};
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, with_query};
use crate::control::console::views::rules::KeptTest;
use crate::control::console::views::shell::Notice;

const PAGE: &str = "/configuration/topic-access-rules";

/// So many are tried for the page; Apply tries all of them.
const MOST: usize = 50;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/configuration/topic-access-rules/tests/add", post(add))
        .route("/configuration/topic-access-rules/tests/remove", post(remove))
}

/// The tests of the draft, each tried by it.
pub(super) async fn kept(visit: &Visit) -> Result<Vec<KeptTest>, Problem> {
    let draft = values(visit).await?.draft;
    let mut kept = Vec::new();
    for test in draft["rule_test"].as_array().into_iter().flatten().take(MOST) {
        let text = |field: &str| test[field].as_str().unwrap_or_default().to_owned();
        let (name, client, topic, expected) = (text("name"), text("client"), text("topic"), text("expect"));
        let publishes = text("action") != "subscribe";
        let action = if publishes { RuleAction::Publish } else { RuleAction::Subscribe };
        let url = with_query(PAGE, &[("client", &client), ("action", &text("action")), ("topic", &topic)]);
        let said = said(&client, publishes, &topic, expected == "allowed");
        let asked = RuleTest { client, action, topic, of: Which::Draft };
        let verdict = ops::trials::test(&visit.app().desk, asked).await;
        let passes = verdict.is_ok_and(|of| of.answer.allowed == (expected == "allowed"));
        kept.push(KeptTest {
            name: outside(name),
            said: outside(said),
            passes,
            url: format!("{url}#test-name"),
        });
    }
    Ok(kept)
}

fn said(client: &str, publishes: bool, topic: &str, allowed: bool) -> String {
    let who = if client.is_empty() { "who has no name" } else { client };
    let may = if allowed { "may" } else { "may not" };
    let does = if publishes { "publish to" } else { "subscribe to" };
    format!("{who} {may} {does} {topic}")
}

async fn add(visit: Visit, fields: Fields) -> Response {
    let test = json!({
        "name": fields.text("name").trim(),
        "client": fields.text("client"),
        "action": fields.text("action"),
        "topic": fields.text("topic"),
        "expect": fields.text("expect"),
    });
    let added = change(&visit, fields.etag(), |tests| tests.push(test)).await;
    let query = [
        ("client", fields.text("client")),
        ("action", fields.text("action")),
        ("topic", fields.text("topic")),
    ];
    visit.done(
        &with_query(PAGE, &query),
        added.map(|()| Notice::good("The test is in the draft: it guards Apply.")),
    )
}

async fn remove(visit: Visit, fields: Fields) -> Response {
    let name = fields.text("name").to_owned();
    let removed =
        change(&visit, fields.etag(), |tests| tests.retain(|test| test["name"] != name.as_str())).await;
    visit.done(PAGE, removed.map(|()| Notice::good("The test is removed from the draft.")))
}

async fn change(
    visit: &Visit,
    expected: Option<String>,
    change: impl FnOnce(&mut Vec<Value>),
) -> Result<(), Problem> {
    let mut tests = values(visit).await?.draft["rule_test"].as_array().cloned().unwrap_or_default();
    change(&mut tests);
    ops::draft::patch(&visit.app().desk, json!({ "rule_test": tests }), expected).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_told_as_people_would() {
        assert_eq!(said("device1", true, "/a", true), "device1 may publish to /a");
        assert_eq!(said("", false, "#", false), "who has no name may not subscribe to #");
    }
}

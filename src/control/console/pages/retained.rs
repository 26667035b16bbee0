//! Retained messages: a level of the tree, or what a filter finds; one message; removing one.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Shown;
use crate::control::admin::ops;
use crate::control::admin::ops::retained::{self as operations, LevelAsked, RetainedAsked, RetainedShown};
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, with_query};
use crate::control::console::text::{bytes, plural, span};
use crate::control::console::trouble::{shown, told};
use crate::control::console::views::list::{Cursor, Fact, List};
use crate::control::console::views::retained::{Branch, Message, RetainedPage, Step};
use crate::control::console::views::shell::{Notice, Page};

const ROWS: usize = 50;
/// So much of a payload is shown.
const PAYLOAD: usize = 64 << 10;

pub(super) fn router() -> Router<Console> {
    Router::new().route("/retained", get(page)).route("/retained/delete", post(delete))
}

/// What is shown beside the message.
struct Topics {
    branches: Vec<Branch>,
    next: Option<String>,
}

async fn page(visit: Visit) -> Shown {
    let mut shell = visit.shell(Page::Retained).await?;
    let now = ops::status::now(&visit.app().desk).await?;
    let prefix = visit.asked("below");
    let filter = visit.asked("q");
    let topics = if filter.is_empty() { level(&visit, prefix).await } else { found(&visit, filter).await };
    let topics = topics.unwrap_or_else(|problem| {
        shell.notice = Some(told(&problem));
        Topics { branches: Vec::new(), next: None }
    });
    let message = match visit.asked("topic") {
        "" => None,
        topic => match operations::show(&visit.app().desk, topic.to_owned()).await {
            Ok(message) => Some(message_of(message)),
            Err(problem) => {
                shell.notice = shell.notice.or(Some(told(&problem)));
                None
            }
        },
    };
    let mut more = Vec::new();
    if !prefix.is_empty() {
        more.push(("below", prefix.to_owned()));
    }
    let list = List {
        path: "/retained",
        query: outside(filter),
        more,
        shown: topics.branches.len() as u64,
        cursor: Some(Cursor { begun: !visit.asked("after").is_empty(), next: topics.next }),
        ..List::default()
    };
    Ok(shown(&RetainedPage {
        shell,
        total_text: plural(now.messages_retained, "message", "messages"),
        filter: outside(filter),
        trail: trail(prefix),
        branches: topics.branches,
        list,
        message,
    }))
}

fn after(visit: &Visit) -> Option<String> {
    Some(visit.asked("after")).filter(|after| !after.is_empty()).map(str::to_owned)
}

async fn level(visit: &Visit, prefix: &str) -> Result<Topics, Problem> {
    let asked = LevelAsked { prefix: prefix.to_owned(), most: Some(ROWS), after: after(visit) };
    let level = operations::level(&visit.app().desk, asked).await?;
    let topic = visit.asked("topic");
    let branch = |child: &operations::Child| {
        let here = format!("{prefix}{}", child.name);
        let below = format!("{here}/");
        let shown = child.has_message && topic == here;
        let query = [("below", prefix), ("topic", here.as_str())];
        Branch {
            name: outside(&child.name),
            below: (child.below > 0).then(|| with_query("/retained", &[("below", &below)])),
            message: child.has_message.then(|| format!("{}#message-card", with_query("/retained", &query))),
            shown,
            count: child.below + u64::from(child.has_message),
        }
    };
    Ok(Topics { branches: level.children.iter().map(branch).collect(), next: level.next })
}

async fn found(visit: &Visit, filter: &str) -> Result<Topics, Problem> {
    // Whoever types no wildcard looks for a piece of a topic.
    let wild = filter.contains(['#', '+']);
    let asked = RetainedAsked {
        filter: wild.then(|| filter.to_owned()),
        text: if wild { String::new() } else { filter.to_owned() },
        most: Some(ROWS),
        after: after(visit),
    };
    let page = operations::list(&visit.app().desk, asked).await?;
    let branch = |message: &operations::RetainedListed| {
        let query = [("q", filter), ("topic", message.topic.as_str())];
        Branch {
            name: outside(&message.topic),
            below: None,
            message: Some(format!("{}#message-card", with_query("/retained", &query))),
            shown: visit.asked("topic") == message.topic,
            count: 1,
        }
    };
    Ok(Topics { branches: page.messages.iter().map(branch).collect(), next: page.next })
}

fn trail(prefix: &str) -> Vec<Step> {
    let mut below = String::new();
    let mut steps = Vec::new();
    for name in prefix.strip_suffix('/').into_iter().flat_map(|levels| levels.split('/')) {
        below.push_str(name);
        below.push('/');
        let named = if name.is_empty() { "(an empty level)" } else { name };
        steps.push(Step { name: outside(named), url: with_query("/retained", &[("below", &below)]) });
    }
    steps
}

fn message_of(message: RetainedShown) -> Message {
    let payload = STANDARD.decode(&message.payload).unwrap_or_default();
    let cut = payload.len() > PAYLOAD;
    let part = &payload[..payload.len().min(PAYLOAD)];
    let listed = message.listed;
    let mut facts = vec![
        Fact::new("QoS", listed.qos),
        Fact::new("Payload", bytes(listed.payload_bytes as u64)),
        Fact::new("Stored", &listed.stored),
    ];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| Fact::new(name, value)));
    fact("Expires in", listed.expires_in_secs.map(span));
    fact("Content type", message.content_type);
    fact("Response topic", message.response_topic);
    fact("Correlation data", message.correlation_data);
    for property in message.user_properties {
        fact("User property", Some(format!("{} = {}", property.name, property.value)));
    }
    Message {
        topic: outside(listed.topic),
        facts,
        base64: STANDARD.encode(part),
        text: outside(String::from_utf8_lossy(part)),
        cut,
    }
}

async fn delete(visit: Visit, fields: Fields) -> Response {
    let topic = fields.text("topic").to_owned();
    let (above, _) = topic.rsplit_once('/').map_or(("", ""), |parts| parts);
    let back = if above.is_empty() {
        "/retained".into()
    } else {
        with_query("/retained", &[("below", &format!("{above}/"))])
    };
    let outcome = operations::remove(&visit.app().desk, topic.clone()).await;
    let notice =
        outcome.map(|()| Notice::good(outside(format!("The retained message of {topic} was deleted."))));
    visit.done(&back, notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_leads_to_each_level_above() {
        let steps = trail("a//b c/");
        let shown: Vec<(String, &str)> =
            steps.iter().map(|step| (step.name.0.clone(), step.url.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("a".into(), "/retained?below=a%2F"),
                ("(an empty level)".into(), "/retained?below=a%2F%2F"),
                ("b c".into(), "/retained?below=a%2F%2Fb%20c%2F"),
            ]
        );
        assert!(trail("").is_empty());
        assert_eq!(trail("/").len(), 1, "a topic may begin with a slash");
    }
}

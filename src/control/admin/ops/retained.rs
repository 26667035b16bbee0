//! Retained messages: browsed, shown, removed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::clients::rows;
use super::named::when;
use crate::mqtt::property::PayloadFormat;
use crate::node::{LevelQuery, RetainedQuery, RetainedRow};

/// Which page of which retained messages.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct RetainedAsked {
    /// The topics that this filter matches; all, if it is left out. `$SYS/#` shows the broker's own.
    pub(in crate::control) filter: Option<String>,
    /// What stands somewhere in the topic.
    pub(in crate::control) text: String,
    /// Rows of a page, 1,000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::control) most: Option<usize>,
    /// `next` of the page before.
    pub(in crate::control) after: Option<String>,
}

/// A page of retained messages, in the order of their topics.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RetainedPage {
    pub(in crate::control) messages: Vec<RetainedListed>,
    /// Where the next page begins; `null`: this is the last one.
    pub(in crate::control) next: Option<String>,
}

/// A retained message in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RetainedListed {
    pub(in crate::control) topic: String,
    pub(in crate::control) qos: u8,
    pub(in crate::control) payload_bytes: usize,
    /// Since when, as RFC 3339 writes it.
    pub(in crate::control) stored: String,
    /// `null`: it does not expire.
    pub(in crate::control) expires_in_secs: Option<u64>,
}

/// A retained message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RetainedShown {
    #[serde(flatten)]
    pub(in crate::control) listed: RetainedListed,
    /// The payload as text, if it is UTF-8.
    pub(in crate::control) text: Option<String>,
    /// The payload in base64.
    pub(in crate::control) payload: String,
    /// Whether its publisher said that the payload is UTF-8.
    pub(in crate::control) said_to_be_text: bool,
    pub(in crate::control) content_type: Option<String>,
    pub(in crate::control) response_topic: Option<String>,
    /// In base64.
    pub(in crate::control) correlation_data: Option<String>,
    pub(in crate::control) user_properties: Vec<UserProperty>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct UserProperty {
    pub(in crate::control) name: String,
    pub(in crate::control) value: String,
}

/// Which level of the tree of topics.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct LevelAsked {
    /// What is above it: `a/b/`; empty: the root.
    pub(in crate::control) prefix: String,
    /// Rows of a page, 1,000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::control) most: Option<usize>,
    /// `next` of the page before.
    pub(in crate::control) after: Option<String>,
}

/// A page of what stands on one level of the tree of topics.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Level {
    pub(in crate::control) children: Vec<Child>,
    /// Where the next page begins; `null`: this is the last one.
    pub(in crate::control) next: Option<String>,
    /// `false`: there are more messages than were counted, and the numbers are lower bounds.
    pub(in crate::control) complete: bool,
}

/// A level's name, and what is there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Child {
    pub(in crate::control) name: String,
    /// Whether a message is retained for this very topic.
    pub(in crate::control) has_message: bool,
    /// Messages below it.
    pub(in crate::control) below: u64,
}

/// A page of retained messages.
pub(in crate::control) async fn list(desk: &Desk, asked: RetainedAsked) -> Result<RetainedPage, Problem> {
    let mut query = match &asked.filter {
        None => RetainedQuery::default(),
        Some(filter) => {
            RetainedQuery::new(filter).map_err(|error| Problem::bad_request(format!("filter: {error}")))?
        }
    };
    (query.text, query.most, query.after) = (asked.text, rows(asked.most), asked.after);
    desk.ask(move |control| {
        let Some(running) = &control.running else { return RetainedPage::default() };
        let page = running.node().retained(&query);
        RetainedPage { messages: page.rows.iter().map(listed).collect(), next: page.next }
    })
    .await
}

/// One level of the tree of topics.
pub(in crate::control) async fn level(desk: &Desk, asked: LevelAsked) -> Result<Level, Problem> {
    let query = LevelQuery { prefix: asked.prefix, most: rows(asked.most), after: asked.after };
    desk.ask(move |control| {
        let Some(running) = &control.running else { return Level { complete: true, ..Level::default() } };
        let level = running.node().retained_level(&query);
        let child = |child: crate::node::LevelChild| Child {
            name: child.name,
            has_message: child.has_message,
            below: child.below,
        };
        let children = level.children.into_iter().map(child).collect();
        Level { children, next: level.next, complete: level.complete }
    })
    .await
}

/// One retained message.
pub(in crate::control) async fn show(desk: &Desk, topic: String) -> Result<RetainedShown, Problem> {
    desk.ask(move |control| {
        let running = control.running.as_ref().ok_or_else(Problem::disabled)?;
        let found = running.node().retained_message(&topic).ok_or_else(|| unknown(&topic))?;
        let property = |(name, value)| UserProperty { name, value };
        Ok(RetainedShown {
            listed: listed(&found.row),
            text: String::from_utf8(found.payload.clone()).ok(),
            payload: STANDARD.encode(&found.payload),
            said_to_be_text: found.payload_format == Some(PayloadFormat::Utf8),
            content_type: found.content_type,
            response_topic: found.response_topic,
            correlation_data: found.correlation_data.map(|data| STANDARD.encode(data)),
            user_properties: found.user_properties.into_iter().map(property).collect(),
        })
    })
    .await?
}

/// Removes one: later subscribers do not get it; nobody is told. What is below `$SYS` is the broker's own.
pub(in crate::control) async fn remove(desk: &Desk, topic: String) -> Result<(), Problem> {
    desk.ask(move |control| {
        let running = control.running.as_ref().ok_or_else(Problem::disabled)?;
        if running.node().remove_retained(&topic) { Ok(()) } else { Err(unknown(&topic)) }
    })
    .await?
}

fn unknown(topic: &str) -> Problem {
    Problem::not_found(format!("no message is retained for the topic {topic:?}"))
}

fn listed(row: &RetainedRow) -> RetainedListed {
    RetainedListed {
        topic: row.topic.to_string(),
        qos: row.qos as u8,
        payload_bytes: row.payload_bytes,
        stored: when(row.stored_unix_secs),
        expires_in_secs: row.expires_in_secs,
    }
}

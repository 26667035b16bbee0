//! Clients: the list, one of them, and putting one out.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::Shown;
use crate::control::admin::ops;
use crate::control::admin::ops::clients::{self as operations, ClientsAsked, Kick, State};
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, with_query};
use crate::control::console::text::{Foreign, bytes, count};
use crate::control::console::trouble::shown;
use crate::control::console::views::clients::{Client, ClientPage, ClientsPage, Subscription};
use crate::control::console::views::list::{Cursor, Fact, List};
use crate::control::console::views::shell::{Notice, Page};

const ROWS: usize = 50;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/clients", get(list))
        .route("/clients/one", get(one))
        .route("/clients/kick", post(kick))
}

async fn list(visit: Visit) -> Shown {
    let shell = visit.shell(Page::Clients).await?;
    let (state, filter) = match visit.asked("state") {
        "connected" => ("connected", State::Connected),
        "disconnected" => ("disconnected", State::Disconnected),
        _ => ("all", State::Any),
    };
    let after = Some(visit.asked("after")).filter(|after| !after.is_empty()).map(str::to_owned);
    let asked = ClientsAsked {
        text: visit.asked("q").to_owned(),
        state: filter,
        most: Some(ROWS),
        after: after.clone(),
    };
    let page = operations::list(&visit.app().desk, asked).await?;
    let now = ops::status::now(&visit.app().desk).await?;
    let clients: Vec<Client> = page.clients.iter().map(row).collect();
    let list = List {
        path: "/clients",
        query: outside(visit.asked("q")),
        more: vec![("state", state.to_owned())],
        shown: clients.len() as u64,
        cursor: Some(Cursor { begun: after.is_some(), next: page.next }),
        ..List::default()
    };
    let totals = format!("{} connected, {} sessions", count(now.clients), count(now.sessions));
    Ok(shown(&ClientsPage { shell, list, state, clients, totals }))
}

fn row(client: &operations::Client) -> Client {
    let connection = client.connection.as_ref();
    let transport = connection.map_or("", |connection| if connection.tls { " over TLS" } else { "" });
    Client {
        id: outside(&client.client_id),
        name: client.client_name.as_ref().or(client.user.as_ref()).map(outside),
        address: connection.map(|connection| outside(&connection.peer)),
        protocol: outside(format!("{}{transport}", client.version)),
        since: connection
            .map(|connection| Foreign::of(&connection.since))
            .or(client.disconnected_since.as_ref().map(outside)),
        subscriptions: client.subscriptions as u64,
        waiting: client.backlog_messages as u64,
    }
}

async fn one(visit: Visit) -> Shown {
    let shell = visit.shell(Page::Clients).await?;
    let found = operations::show(&visit.app().desk, visit.asked("id").to_owned()).await?;
    let subscription = |subscription: &operations::Subscription| {
        let filter = match &subscription.share {
            Some(share) => format!("$share/{share}/{}", subscription.filter),
            None => subscription.filter.clone(),
        };
        Subscription { filter: outside(filter), qos: subscription.qos, options: options(subscription) }
    };
    Ok(shown(&ClientPage {
        shell,
        client: row(&found.client),
        facts: facts(&found.client),
        subscriptions: found.subscribed.iter().map(subscription).collect(),
    }))
}

fn options(subscription: &operations::Subscription) -> String {
    let identifier = subscription.identifier.map(|number| format!("identifier {number}"));
    let options = [
        subscription.no_local.then(|| "no local".to_owned()),
        subscription.retain_as_published.then(|| "retain as published".to_owned()),
        identifier,
        subscription.judged_at_delivery.then(|| "each message is judged by its own topic".to_owned()),
    ];
    options.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn facts(client: &operations::Client) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| Fact::new(name, value)));
    fact("Name in its certificate", client.client_name.clone());
    fact("User", client.user.clone());
    fact("Certificate", client.certificate.clone());
    fact("MQTT", Some(client.version.clone()));
    if let Some(connection) = &client.connection {
        fact("Address", Some(connection.peer.clone()));
        fact("Server", Some(connection.listener.clone()));
        fact("Connected", Some(connection.since.clone()));
        fact("Last packet", Some(connection.last_packet.clone()));
        fact("Keep Alive", Some(format!("{} s", connection.keep_alive_secs)));
        fact("Bytes received", Some(bytes(connection.bytes_received)));
        fact("Bytes sent", Some(bytes(connection.bytes_sent)));
        fact("Messages received", Some(count(connection.messages_received)));
        fact("Waiting for its socket", Some(bytes(connection.output_bytes as u64)));
        fact("Not read for now, because of", connection.paused.clone());
    }
    fact("Disconnected", client.disconnected_since.clone());
    fact("Session ends", client.session_ends.clone());
    fact("Session expiry", Some(format!("{} s", count(u64::from(client.session_expiry_secs)))));
    fact("Will", client.has_will.then(|| "it has one".into()));
    fact("In flight", Some(count(client.in_flight as u64)));
    fact(
        "Waiting for it",
        Some(format!(
            "{} messages, {}",
            count(client.backlog_messages as u64),
            bytes(client.backlog_bytes as u64)
        )),
    );
    fact("Shard", Some(client.shard.to_string()));
    facts
}

async fn kick(visit: Visit, fields: Fields) -> Response {
    let id = fields.text("id").to_owned();
    let what = if fields.text("what") == "session" { Kick::Session } else { Kick::Connection };
    let outcome = operations::kick(&visit.app().desk, id.clone(), what).await;
    let failed = with_query("/clients/one", &[("id", &id)]);
    match outcome {
        Ok(()) => visit.done("/clients", Ok(Notice::good(outside(format!("The client {id} was put out."))))),
        Err(problem) => visit.done(if problem.status == 404 { "/clients" } else { &failed }, Err(problem)),
    }
}

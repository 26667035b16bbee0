//! `tidemq clients` and `tidemq subscriptions`: who is there, what waits for it, and how it is put out.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::{Page, Query, broker, encoded, pages};
use crate::control::admin::ops::clients::{Client, ClientPage, ClientShown, Subscription, SubscriptionPage};
use crate::control::cli::Place;
use crate::control::escape;
use crate::control::failure::Failure;
use crate::control::output::{show, tell};
use crate::control::table::Table;

/// `tidemq clients`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Clients {
    /// Lists clients, connected or not: each has a session
    List {
        #[command(flatten)]
        place: Place,
        /// Those with this text in their client id, client name or user name; upper and lower case are the same
        #[arg(long, value_name = "TEXT", default_value = "")]
        text: String,
        /// Those that are connected
        #[arg(long, conflicts_with = "disconnected")]
        connected: bool,
        /// Those that are not, whose session is kept
        #[arg(long)]
        disconnected: bool,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        most: usize,
    },
    /// Shows all that is known of a client, with its subscriptions
    Show {
        #[command(flatten)]
        place: Place,
        /// Its client id
        client_id: String,
    },
    /// Puts a client out; an MQTT 5.0 client is told (0x98), and its will is published
    Kick {
        #[command(flatten)]
        place: Place,
        /// Its client id
        client_id: String,
        /// End its session too: its subscriptions go, and what waits for it
        #[arg(long)]
        session: bool,
    },
}

/// `tidemq subscriptions`
#[derive(Args, Debug)]
pub(in crate::control) struct Subscriptions {
    #[command(flatten)]
    place: Place,
    /// Those with this text in their filter
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// Those of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Those that a message of this topic goes to
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    most: usize,
}

impl Page for ClientPage {
    type Row = Client;

    fn into_rows(self) -> (Vec<Client>, Option<String>) {
        (self.clients, self.next)
    }
}

impl Page for SubscriptionPage {
    type Row = Subscription;

    fn into_rows(self) -> (Vec<Subscription>, Option<String>) {
        (self.subscriptions, self.next)
    }
}

impl Clients {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Clients::List { place, text, connected, disconnected, most } => {
                let state = match (connected, disconnected) {
                    (true, _) => Some("connected"),
                    (_, true) => Some("disconnected"),
                    _ => None,
                };
                let path = |most: &str, after: Option<&str>| {
                    let query = Query::default().with("text", Some(text)).with("state", state);
                    format!("/clients{}", query.with("most", Some(most)).with("after", after).0)
                };
                let clients = pages::<ClientPage>(&broker(place)?, *most, path)?;
                Ok(show(&json!({ "clients": clients }), |_| listed(&clients)))
            }
            Clients::Show { place, client_id } => {
                let found: ClientShown = broker(place)?.get(&of(client_id))?;
                Ok(show(&found, shown))
            }
            Clients::Kick { place, client_id, session } => {
                let what = if *session { "session" } else { "connection" };
                let path = format!("{}?what={what}", of(client_id));
                broker(place)?.call::<()>(Method::DELETE, &path, None)?;
                let client = escape::line(client_id);
                Ok(tell(&if *session {
                    format!("client {client} is put out, and its session is gone")
                } else {
                    format!("client {client} is put out; it may come again, and a session that lasts is kept")
                }))
            }
        }
    }
}

fn of(client_id: &str) -> String {
    format!("/clients/{}", encoded(client_id))
}

fn listed(clients: &[Client]) -> String {
    if clients.is_empty() {
        return "there are no such clients".into();
    }
    let columns =
        &["client_id", "connected", "peer", "mqtt", "name", "subscriptions", "in_flight", "waiting", "shard"];
    let mut table = Table::new(columns);
    for client in clients {
        table.push(vec![
            client.client_id.as_str().into(),
            client.connection.is_some().into(),
            client.connection.as_ref().map(|connection| connection.peer.clone()).into(),
            client.version.as_str().into(),
            client.client_name.as_ref().or(client.user.as_ref()).cloned().into(),
            client.subscriptions.into(),
            client.in_flight.into(),
            client.backlog_messages.into(),
            client.shard.into(),
        ]);
    }
    table.text()
}

fn shown(found: &ClientShown) -> String {
    let ClientShown { client, subscribed } = found;
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), escape::line);
    let mut lines = vec![
        ("Client id", escape::line(&client.client_id)),
        ("MQTT", client.version.clone()),
        ("Client name", text(&client.client_name)),
        ("User", text(&client.user)),
        ("Certificate", text(&client.certificate)),
    ];
    match &client.connection {
        Some(connection) => lines.extend([
            ("Connected", format!("since {}", connection.since)),
            ("From", format!("{} to {}", connection.peer, connection.listener)),
            ("Last packet", connection.last_packet.clone()),
            ("Keep alive", format!("{} s", connection.keep_alive_secs)),
            (
                "Not read",
                connection.paused.clone().map_or_else(|| "no".into(), |why| format!("for now: {why}")),
            ),
            ("Waiting", format!("{} bytes for its socket", connection.output_bytes)),
            (
                "Received",
                format!("{} bytes, {} messages", connection.bytes_received, connection.messages_received),
            ),
            ("Sent", format!("{} bytes", connection.bytes_sent)),
        ]),
        None => lines.extend([
            ("Disconnected", format!("since {}", text(&client.disconnected_since))),
            ("Session", format!("ends {}", text(&client.session_ends))),
        ]),
    }
    lines.extend([
        ("Will", if client.has_will { "yes" } else { "no" }.into()),
        ("In flight", format!("{} messages", client.in_flight)),
        ("Backlog", format!("{} messages, {} bytes", client.backlog_messages, client.backlog_bytes)),
        ("Shard", client.shard.to_string()),
    ]);
    let lines: Vec<String> = lines.iter().map(|(name, text)| format!("{name:<12} {text}")).collect();
    format!("{}\n\n{}", lines.join("\n"), subscriptions_listed(subscribed))
}

impl Subscriptions {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let Subscriptions { place, text, client, topic, most } = self;
        let path = |most: &str, after: Option<&str>| {
            let query = Query::default().with("text", Some(text)).with("client_id", client.as_deref());
            let query = query.with("topic", topic.as_deref()).with("most", Some(most));
            format!("/subscriptions{}", query.with("after", after).0)
        };
        let subscriptions = pages::<SubscriptionPage>(&broker(place)?, *most, path)?;
        Ok(show(&json!({ "subscriptions": subscriptions }), |_| subscriptions_listed(&subscriptions)))
    }
}

fn subscriptions_listed(subscriptions: &[Subscription]) -> String {
    if subscriptions.is_empty() {
        return "there are no such subscriptions".into();
    }
    let mut table = Table::new(&["filter", "client_id", "qos", "share", "identifier", "no_local", "rules"]);
    for one in subscriptions {
        let rules = if one.judged_at_delivery { "each message" } else { "filter" };
        table.push(vec![
            one.filter.as_str().into(),
            one.client_id.as_str().into(),
            one.qos.into(),
            one.share.clone().into(),
            one.identifier.map_or(Value::Null, Value::from),
            one.no_local.into(),
            rules.into(),
        ]);
    }
    table.text()
}

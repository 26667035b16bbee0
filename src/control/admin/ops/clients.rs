//! Clients and their subscriptions: looked for, shown, put out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::named::{version_name, when};
use crate::node::{
    ClientDetail, ClientQuery, ClientRow, ClientState, ConnectionRow, KickWhat, Measure, PageCursor,
    PausedFor, StateFilter, SubscriptionQuery, SubscriptionRow,
};

/// Rows of a page, if nobody says how many.
const ROWS: usize = 100;

/// Which clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum State {
    #[default]
    Any,
    Connected,
    Disconnected,
}

/// Which page of which clients.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct ClientsAsked {
    /// What stands somewhere in the client id, the client name or the user name; upper and lower case are the same.
    pub(in crate::control) text: String,
    /// `any`, `connected` or `disconnected`.
    pub(in crate::control) state: State,
    /// Rows of a page, 1,000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::control) most: Option<usize>,
    /// `next` of the page before.
    pub(in crate::control) after: Option<String>,
}

/// A page of clients.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ClientPage {
    pub(in crate::control) clients: Vec<Client>,
    /// Where the next page begins; `null`: this is the last one. A page may be short, even empty, and not the last.
    pub(in crate::control) next: Option<String>,
}

/// A client: it exists as long as its session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Client {
    pub(in crate::control) client_id: String,
    /// `null`: it is not connected.
    pub(in crate::control) connection: Option<ClientConnection>,
    /// Since when it is not connected, as RFC 3339 writes it; `null`: it is.
    pub(in crate::control) disconnected_since: Option<String>,
    /// When its session ends if it does not come back.
    pub(in crate::control) session_ends: Option<String>,
    /// `3.1`, `3.1.1` or `5.0`
    pub(in crate::control) version: String,
    /// The Common Name of its certificate.
    pub(in crate::control) client_name: Option<String>,
    /// The user name that it has proved.
    pub(in crate::control) user: Option<String>,
    /// SHA-256 thumbprint of its certificate.
    pub(in crate::control) certificate: Option<String>,
    pub(in crate::control) session_expiry_secs: u32,
    pub(in crate::control) has_will: bool,
    pub(in crate::control) subscriptions: usize,
    /// Messages sent to it and not acknowledged.
    pub(in crate::control) in_flight: usize,
    /// Messages that wait for it.
    pub(in crate::control) backlog_messages: usize,
    pub(in crate::control) backlog_bytes: usize,
    /// The shard that it lives on.
    pub(in crate::control) shard: u16,
}

/// The connection of a client.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ClientConnection {
    /// `192.0.2.7:4711`
    pub(in crate::control) peer: String,
    /// The listener that it came to, as people read it.
    pub(in crate::control) listener: String,
    pub(in crate::control) tls: bool,
    pub(in crate::control) keep_alive_secs: u16,
    pub(in crate::control) clean_start: bool,
    /// When CONNECT was accepted, as RFC 3339 writes it.
    pub(in crate::control) since: String,
    /// When the last packet came.
    pub(in crate::control) last_packet: String,
    /// Why it is not read for now: `credit`, `output` or `subscriptions`.
    pub(in crate::control) paused: Option<String>,
    /// Bytes that wait for its socket.
    pub(in crate::control) output_bytes: usize,
    pub(in crate::control) bytes_received: u64,
    pub(in crate::control) bytes_sent: u64,
    pub(in crate::control) messages_received: u64,
}

/// A client with its subscriptions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ClientShown {
    #[serde(flatten)]
    pub(in crate::control) client: Client,
    pub(in crate::control) subscribed: Vec<Subscription>,
}

/// A subscription.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Subscription {
    pub(in crate::control) client_id: String,
    pub(in crate::control) connected: bool,
    /// The topic filter, without `$share/NAME/`.
    pub(in crate::control) filter: String,
    /// The name of the shared subscription.
    pub(in crate::control) share: Option<String>,
    pub(in crate::control) qos: u8,
    pub(in crate::control) no_local: bool,
    pub(in crate::control) retain_as_published: bool,
    /// Subscription Identifier.
    pub(in crate::control) identifier: Option<u32>,
    /// Topic rules judge each message by its own topic, because an earlier rule overlaps the filter.
    pub(in crate::control) judged_at_delivery: bool,
}

/// Which page of which subscriptions.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct SubscriptionsAsked {
    /// What stands somewhere in the filter.
    pub(in crate::control) text: String,
    /// Those of this client only.
    pub(in crate::control) client_id: Option<String>,
    /// Those that match this topic only.
    pub(in crate::control) topic: Option<String>,
    /// Rows of a page, 1,000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::control) most: Option<usize>,
    /// `next` of the page before.
    pub(in crate::control) after: Option<String>,
}

/// A page of subscriptions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct SubscriptionPage {
    pub(in crate::control) subscriptions: Vec<Subscription>,
    /// Where the next page begins; `null`: this is the last one.
    pub(in crate::control) next: Option<String>,
}

/// By what the greatest clients are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::control) enum By {
    #[default]
    BacklogBytes,
    BacklogMessages,
    InFlight,
    OutputBytes,
    Subscriptions,
    BytesReceived,
    BytesSent,
    MessagesReceived,
}

/// The greatest clients.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct TopAsked {
    /// By what.
    pub(in crate::control) by: By,
    /// How many.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::control) most: Option<usize>,
}

/// What is put out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum Kick {
    /// The connection; the session stays, and the client may come again.
    #[default]
    Connection,
    /// The session too, with its subscriptions and what waits.
    Session,
}

fn cursor(after: Option<String>) -> Result<Option<PageCursor>, Problem> {
    let parsed = after.map(|text| text.parse::<PageCursor>()).transpose();
    parsed.map_err(|error| Problem::bad_request(format!("after: {error}")))
}

/// Rows of a page: what was asked for, within bounds.
pub(super) fn rows(most: Option<usize>) -> usize {
    most.unwrap_or(ROWS).clamp(1, crate::node::PAGE_ROWS)
}

/// A page of clients.
pub(in crate::control) async fn list(desk: &Desk, asked: ClientsAsked) -> Result<ClientPage, Problem> {
    let state = match asked.state {
        State::Any => StateFilter::Any,
        State::Connected => StateFilter::Connected,
        State::Disconnected => StateFilter::Disconnected,
    };
    let most = rows(asked.most);
    let query = ClientQuery { text: asked.text, state, most, after: cursor(asked.after)? };
    desk.ask(move |control| {
        let Some(running) = &control.running else { return ClientPage::default() };
        let page = running.node().clients(&query);
        let clients =
            page.rows.iter().map(|row| shown(row, |number| running.listener_name(number))).collect();
        ClientPage { clients, next: page.next.map(|next| next.to_string()) }
    })
    .await
}

/// The greatest clients, greatest first.
pub(in crate::control) async fn top(desk: &Desk, asked: TopAsked) -> Result<Vec<Client>, Problem> {
    let by = match asked.by {
        By::BacklogBytes => Measure::BacklogBytes,
        By::BacklogMessages => Measure::BacklogMessages,
        By::InFlight => Measure::InFlight,
        By::OutputBytes => Measure::OutputBytes,
        By::Subscriptions => Measure::Subscriptions,
        By::BytesReceived => Measure::BytesReceived,
        By::BytesSent => Measure::BytesSent,
        By::MessagesReceived => Measure::MessagesReceived,
    };
    let most = rows(asked.most);
    desk.ask(move |control| {
        let Some(running) = &control.running else { return Vec::new() };
        let rows = running.node().top_clients(by, most);
        rows.iter().map(|row| shown(row, |number| running.listener_name(number))).collect()
    })
    .await
}

/// One client with its subscriptions.
pub(in crate::control) async fn show(desk: &Desk, client_id: String) -> Result<ClientShown, Problem> {
    desk.ask(move |control| {
        let running = control.running.as_ref().ok_or_else(Problem::disabled)?;
        let found = running.node().client(&client_id);
        let ClientDetail { row, subscriptions } = found.ok_or_else(|| unknown(&client_id))?;
        let client = shown(&row, |number| running.listener_name(number));
        Ok(ClientShown { client, subscribed: subscriptions.iter().map(subscription).collect() })
    })
    .await?
}

/// Puts a client out. A 5.0 client is told (0x98); its will is published, as the standard says.
pub(in crate::control) async fn kick(desk: &Desk, client_id: String, what: Kick) -> Result<(), Problem> {
    let what = match what {
        Kick::Connection => KickWhat::Connection,
        Kick::Session => KickWhat::Session,
    };
    desk.ask(move |control| {
        let running = control.running.as_ref().ok_or_else(Problem::disabled)?;
        if running.node().kick(&client_id, what) { Ok(()) } else { Err(unknown(&client_id)) }
    })
    .await?
}

/// A page of subscriptions.
pub(in crate::control) async fn subscriptions(
    desk: &Desk,
    asked: SubscriptionsAsked,
) -> Result<SubscriptionPage, Problem> {
    let SubscriptionsAsked { text, client_id, topic, most, after } = asked;
    let query = SubscriptionQuery { text, client_id, topic, most: rows(most), after: cursor(after)? };
    desk.ask(move |control| {
        let Some(running) = &control.running else { return SubscriptionPage::default() };
        let page = running.node().subscriptions(&query);
        let subscriptions = page.rows.iter().map(subscription).collect();
        SubscriptionPage { subscriptions, next: page.next.map(|next| next.to_string()) }
    })
    .await
}

fn unknown(client_id: &str) -> Problem {
    Problem::not_found(format!("there is no client with the client id {client_id:?}"))
}

fn shown(row: &ClientRow, listener: impl Fn(u16) -> String) -> Client {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let (connection, since, ends) = match &row.state {
        ClientState::Connected(connection) => (Some(connected(connection, listener)), None, None),
        ClientState::Disconnected { since_unix_secs, session_ends_unix_secs } => {
            (None, Some(when(*since_unix_secs)), Some(when(*session_ends_unix_secs)))
        }
    };
    Client {
        client_id: row.client_id.to_string(),
        connection,
        disconnected_since: since,
        session_ends: ends,
        version: version_name(row.version).to_owned(),
        client_name: text(&row.client_name),
        user: text(&row.user),
        certificate: row.certificate.map(|thumbprint| thumbprint.to_string()),
        session_expiry_secs: row.session_expiry_secs,
        has_will: row.has_will,
        subscriptions: row.subscriptions,
        in_flight: row.in_flight,
        backlog_messages: row.backlog_messages,
        backlog_bytes: row.backlog_bytes,
        shard: row.home.0,
    }
}

fn connected(row: &ConnectionRow, listener: impl Fn(u16) -> String) -> ClientConnection {
    let paused = row.paused.map(|paused| match paused {
        PausedFor::Credit => "credit",
        PausedFor::Output => "output",
        PausedFor::Subscriptions => "subscriptions",
    });
    ClientConnection {
        peer: row.peer.to_string(),
        listener: listener(row.listener),
        tls: row.tls,
        keep_alive_secs: row.keep_alive_secs,
        clean_start: row.clean_start,
        since: when(row.connected_unix_secs),
        last_packet: when(row.last_packet_unix_secs),
        paused: paused.map(str::to_owned),
        output_bytes: row.output_bytes,
        bytes_received: row.bytes_received,
        bytes_sent: row.bytes_sent,
        messages_received: row.messages_received,
    }
}

fn subscription(row: &SubscriptionRow) -> Subscription {
    Subscription {
        client_id: row.client_id.to_string(),
        connected: row.connected,
        filter: row.filter.to_string(),
        share: row.share.as_deref().map(str::to_owned),
        qos: row.qos as u8,
        no_local: row.no_local,
        retain_as_published: row.retain_as_published,
        identifier: row.identifier,
        judged_at_delivery: row.judged,
    }
}

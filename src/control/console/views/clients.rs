//! Clients: the list, and one of them with its subscriptions.

use askama::Template;

use super::list::{Fact, List};
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, count};

/// The list.
#[derive(Template)]
#[template(path = "clients.html")]
pub(crate) struct ClientsPage {
    pub(crate) shell: Shell,
    pub(crate) list: List,
    /// `15,023 connected, 15,480 sessions`
    pub(crate) totals: String,
    /// `all`, `connected` or `disconnected`.
    pub(crate) state: &'static str,
    pub(crate) clients: Vec<Client>,
}

/// One of them.
#[derive(Template)]
#[template(path = "client.html")]
pub(crate) struct ClientPage {
    pub(crate) shell: Shell,
    pub(crate) client: Client,
    pub(crate) facts: Vec<Fact>,
    pub(crate) subscriptions: Vec<Subscription>,
}

/// A client's session, connected or not.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: Foreign,
    /// Its certificate's Common Name or its user name.
    pub(crate) name: Option<Foreign>,
    /// Nothing: it is not connected.
    pub(crate) address: Option<Foreign>,
    pub(crate) protocol: Foreign,
    /// When it connected, or disconnected.
    pub(crate) since: Option<Foreign>,
    pub(crate) subscriptions: u64,
    /// Messages that wait for it.
    pub(crate) waiting: u64,
}

/// One of its subscriptions.
pub(crate) struct Subscription {
    pub(crate) filter: Foreign,
    pub(crate) qos: u8,
    pub(crate) options: String,
}

impl Client {
    /// Its page. The identifier stands in the query: it may be anything, also `..`.
    pub(crate) fn url(&self) -> String {
        format!("/clients/one?id={}", self.id.encoded())
    }

    fn connected(&self) -> bool {
        self.address.is_some()
    }

    fn subscriptions_text(&self) -> String {
        count(self.subscriptions)
    }

    fn waiting_text(&self) -> String {
        count(self.waiting)
    }
}

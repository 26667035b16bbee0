//! Clients: the list, and one of them with its subscriptions.

use askama::Template;

use super::list::{Fact, List};
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment, count};

/// The list.
#[derive(Template)]
#[template(path = "clients.html")]
pub struct ClientsPage {
    pub shell: Shell,
    pub list: List,
    /// `all`, `connected` or `disconnected`.
    pub state: &'static str,
    pub clients: Vec<Client>,
}

/// One of them.
#[derive(Template)]
#[template(path = "client.html")]
pub struct ClientPage {
    pub shell: Shell,
    pub client: Client,
    pub facts: Vec<Fact>,
    pub subscriptions: Vec<Subscription>,
}

/// A client's session, connected or not.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: Foreign,
    /// Its certificate's Common Name or its user name.
    pub name: Option<Foreign>,
    /// Nothing: it is not connected.
    pub address: Option<Foreign>,
    pub protocol: Foreign,
    pub since: Option<Moment>,
    pub subscriptions: u64,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// One of its subscriptions.
pub struct Subscription {
    pub filter: Foreign,
    pub qos: u8,
    pub options: String,
}

impl Client {
    /// Its page. The identifier stands in the query: it may be anything, also `..`.
    pub fn url(&self) -> String {
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

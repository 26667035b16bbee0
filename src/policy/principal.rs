//! Who a connection has proved to be, and what that is called where rules and sessions ask.

use std::sync::Arc;

use super::certificates::{CommonName, Presented, Requirement};
use super::credentials::ProvedUser;

/// What a connection has proved. Nothing: an anonymous client.
#[derive(Clone, Debug, Default)]
pub struct Principal {
    /// Its certificate.
    pub certificate: Option<Arc<Presented>>,
    /// Its user name; only one whose password was verified.
    pub user: Option<ProvedUser>,
}

/// Where the client name comes from that rules judge by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientNames {
    /// The certificate's one Common Name.
    #[default]
    Certificates,
    /// The certificate's; without a certificate the user name.
    CertificatesAndUsers,
}

impl Principal {
    /// The client name; empty if there is none.
    pub fn client_name(&self, names: ClientNames) -> &str {
        match (&self.certificate, names) {
            (Some(certificate), _) => match &certificate.common_name {
                CommonName::One(name) => name,
                CommonName::None | CommonName::Several => "",
            },
            (None, ClientNames::CertificatesAndUsers) => self.user.as_ref().map_or("", |user| &user.name),
            (None, ClientNames::Certificates) => "",
        }
    }

    /// To whom a session belongs: the name that was proved, by a certificate or else by a password. Empty: to nobody.
    pub fn owner(&self) -> &str {
        self.client_name(ClientNames::CertificatesAndUsers)
    }
}

/// Which client identifiers a client with a name may use: against squatting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientIdPolicy {
    /// Any.
    #[default]
    Any,
    /// Its name alone.
    EqualsName,
    /// Those that begin with its name.
    StartsWithName,
}

/// What a 3.1.1 client, which has no code for it, hears of a publish that was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusedPublish {
    /// It is acknowledged and goes nowhere.
    #[default]
    Acknowledge,
    /// Its connection is closed.
    Close,
}

/// What a listener asks of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerPolicy {
    /// Connections are encrypted.
    pub tls: bool,
    /// Whether a client certificate must be presented.
    pub certificate: Requirement,
}

impl Default for ListenerPolicy {
    fn default() -> ListenerPolicy {
        ListenerPolicy { tls: false, certificate: Requirement::Optional }
    }
}

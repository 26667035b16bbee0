//! Certificate Authorities, Broker Certificate, Client Certificates.

use askama::Template;

use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment, plural, span};

/// Certificate Authorities.
#[derive(Template)]
#[template(path = "certificate_authorities.html")]
pub(crate) struct AuthoritiesPage {
    pub(crate) shell: Shell,
    pub(crate) authorities: Vec<Authority>,
}

/// An authority.
pub(crate) struct Authority {
    pub(crate) name: Foreign,
    pub(crate) subject: Foreign,
    pub(crate) sha256: String,
    pub(crate) sha1: Option<String>,
    pub(crate) key_type: Foreign,
    /// Its private key is here.
    pub(crate) key: bool,
    /// It issues what is issued here.
    pub(crate) issues: bool,
    /// It is not applied as it is.
    pub(crate) changed: bool,
    /// Nothing: its certificate is not in the store.
    pub(crate) life: Option<Life>,
    /// Known client certificates that it has issued.
    pub(crate) listed: u64,
}

impl Authority {
    fn export(&self, format: &str) -> String {
        format!("/configuration/certificate-authorities/export?thumbprint={}&format={format}", self.sha256)
    }

    fn listed_text(&self) -> String {
        plural(self.listed, "certificate", "certificates")
    }
}

/// A certificate's life, seen from now. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) now: i64,
}

/// What is left at which it is time to think of a new one.
const SOON: i64 = 30 * 86_400;

impl Life {
    fn class(&self) -> &'static str {
        match self.until - self.now {
            left if left <= 0 => "over",
            left if left < SOON => "soon",
            _ => "good",
        }
    }

    fn percent(&self) -> i64 {
        let whole = (self.until - self.from).max(1);
        ((self.now - self.from).clamp(0, whole) as f64 / whole as f64 * 100.0) as i64
    }

    fn text(&self) -> String {
        let date = |at: i64| Moment(at).people().chars().take(10).collect::<String>();
        if self.now < self.from {
            return format!("not before {}", date(self.from));
        }
        let left = self.until - self.now;
        if left <= 0 {
            format!("expired {}", date(self.until))
        } else {
            format!("{} left, until {}", span(left as u64), date(self.until))
        }
    }
}

/// Broker Certificate.
#[derive(Template)]
#[template(path = "broker_certificate.html")]
pub(crate) struct BrokerCertificatePage {
    pub(crate) shell: Shell,
    /// The certificate; nothing: none was made yet.
    pub(crate) current: Option<Presented>,
    /// The broker makes and renews it.
    pub(crate) automatic: bool,
    /// It is not applied.
    pub(crate) changed: bool,
    /// Why some clients may not accept it, or why it cannot be applied.
    pub(crate) doubts: Vec<Foreign>,
    /// What was configured as its names.
    pub(crate) names: Foreign,
    /// When the broker makes another.
    pub(crate) renewal: Option<Foreign>,
    /// Others that could be used.
    pub(crate) stored: Vec<Stored>,
}

/// A certificate of the store with its key.
pub(crate) struct Stored {
    pub(crate) subject: Foreign,
    pub(crate) sha256: String,
}

/// The certificate that servers present.
pub(crate) struct Presented {
    pub(crate) subject: Foreign,
    pub(crate) issuer: Foreign,
    pub(crate) names: Foreign,
    pub(crate) key_type: Foreign,
    /// Subjects, from its own to its authority's.
    pub(crate) chain: Vec<Foreign>,
    pub(crate) life: Life,
    pub(crate) sha256: String,
    pub(crate) sha1: String,
}

/// Client Certificates.
#[derive(Template)]
#[template(path = "client_certificates.html")]
pub(crate) struct ClientCertificatesPage {
    pub(crate) shell: Shell,
    /// Whether "Authorized" matters, in a sentence.
    pub(crate) matters: &'static str,
    /// Such as two certificates of one name.
    pub(crate) warnings: Vec<Foreign>,
    pub(crate) list: List,
    pub(crate) certificates: Vec<ListedCertificate>,
    /// A certificate that was tried.
    pub(crate) trial: Option<Trial>,
}

/// What would become of a certificate that was tried.
pub(crate) struct Trial {
    /// As it was pasted.
    pub(crate) pem: Foreign,
    pub(crate) accepted: bool,
    /// Whose it is, and why it is refused.
    pub(crate) said: Vec<Foreign>,
}

/// A client certificate that is listed.
pub(crate) struct ListedCertificate {
    pub(crate) name: Foreign,
    /// Nothing: only its thumbprint is known.
    pub(crate) subject: Option<Foreign>,
    pub(crate) issuer: Option<Foreign>,
    pub(crate) sha256: String,
    pub(crate) life: Option<Life>,
    pub(crate) status: Status,
    /// How many connections present it right now; `None`: none does.
    pub(crate) online: Option<String>,
    /// Why it was refused last.
    pub(crate) rejection: Option<Foreign>,
    /// It is not applied as it is.
    pub(crate) changed: bool,
}

/// How a client certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Authorized,
    Revoked,
    /// Issued here and not listed.
    Unlisted,
}

impl Status {
    fn name(&self) -> &'static str {
        match self {
            Status::Authorized => "Authorized",
            Status::Revoked => "Revoked",
            Status::Unlisted => "not listed",
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Status::Authorized => "good",
            Status::Revoked => "bad",
            Status::Unlisted => "plain",
        }
    }

    fn is_authorized(&self) -> bool {
        *self == Status::Authorized
    }

    fn is_revoked(&self) -> bool {
        *self == Status::Revoked
    }

    fn is_listed(&self) -> bool {
        *self != Status::Unlisted
    }
}

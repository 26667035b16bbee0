//! Certificate Authorities, Broker Certificate, Client Certificates.

use askama::Template;

use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment, encoded, plural, span};

/// Certificate Authorities.
#[derive(Template)]
#[template(path = "certificate_authorities.html")]
pub struct AuthoritiesPage {
    pub shell: Shell,
    pub authorities: Vec<Authority>,
    /// What was typed of a certificate to issue that was not taken.
    pub issue: Option<()>,
}

/// An authority.
pub struct Authority {
    pub name: Foreign,
    pub subject: Foreign,
    pub sha256: String,
    pub sha1: Option<String>,
    /// Its private key is here.
    pub key: bool,
    /// It issues what is issued here.
    pub issues: bool,
    /// It is not applied as it is.
    pub changed: bool,
    pub life: Life,
    /// Listed client certificates that it has issued.
    pub listed: u64,
}

impl Authority {
    fn export(&self, format: &str) -> String {
        format!("/configuration/certificate-authorities/export?name={}&format={format}", encoded(self.name.raw()))
    }

    fn listed_text(&self) -> String {
        plural(self.listed, "certificate", "certificates")
    }
}

/// A certificate's life, seen from now. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub from: i64,
    pub until: i64,
    pub now: i64,
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
        if left <= 0 { format!("expired {}", date(self.until)) } else { format!("{} left, until {}", span(left as u64), date(self.until)) }
    }
}

/// Broker Certificate.
#[derive(Template)]
#[template(path = "broker_certificate.html")]
pub struct BrokerCertificatePage {
    pub shell: Shell,
    /// The certificate; nothing: none was made yet.
    pub current: Option<Presented>,
    /// The broker makes and renews it.
    pub automatic: bool,
    /// It is not applied.
    pub changed: bool,
    /// What is wrong with it.
    pub problem: Option<Foreign>,
    /// What was configured as its names.
    pub names: Foreign,
}

/// The certificate that servers present.
pub struct Presented {
    pub subject: Foreign,
    pub issuer: Foreign,
    pub names: Foreign,
    /// Subjects, from its own to the authority's.
    pub chain: Vec<Foreign>,
    pub until: Moment,
    pub life: Life,
    pub sha256: String,
    pub sha1: Option<String>,
}

/// Client Certificates.
#[derive(Template)]
#[template(path = "client_certificates.html")]
pub struct ClientCertificatesPage {
    pub shell: Shell,
    /// Where "Authorized" matters, to the end of a sentence.
    pub matters: &'static str,
    /// Such as two certificates of one name.
    pub warnings: Vec<Foreign>,
    pub list: List,
    pub certificates: Vec<ListedCertificate>,
    /// A certificate that was tried, as it was pasted.
    pub tried: Foreign,
    /// What would become of it.
    pub verdict: Option<Verdict>,
}

/// A client certificate that is listed.
pub struct ListedCertificate {
    pub name: Foreign,
    /// Nothing: only its thumbprint is known.
    pub subject: Option<Foreign>,
    pub issuer: Option<Foreign>,
    pub sha256: String,
    pub life: Option<Life>,
    pub authorized: bool,
    /// Clients that are connected with it.
    pub online: u64,
    /// Why it was refused last.
    pub rejection: Option<Foreign>,
    /// It is not applied as it is.
    pub changed: bool,
}

/// What would become of a certificate.
pub struct Verdict {
    pub accepted: bool,
    pub why: Foreign,
}

impl ListedCertificate {
    fn status(&self) -> &'static str {
        if self.authorized { "Authorized" } else { "Revoked" }
    }

    fn class(&self) -> &'static str {
        if self.authorized { "good" } else { "bad" }
    }
}

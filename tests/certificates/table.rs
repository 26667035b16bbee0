//! The truth table of the certificate policy, as `decisions` has it: which certificates are accepted, by who issued
//! them, when they are valid, how they are listed, and which options are on. Written down, not computed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::AlertDescription;
use tidemq::net::tls::presented;
use tidemq::net::tls::trust::WebPkiTrust;
use tidemq::policy::certificates::{CertificatePolicy, CertificateRefusal, Distrust, Listing, Trust};

use super::issue::{Identity, Validity, client, stranger, trusted};

/// Who has issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    /// A configured authority.
    Trusted,
    /// An unknown one.
    Unknown,
}

/// What becomes of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Revoked,
    NotAuthorized,
    UnknownIssuer,
    Expired,
    NotYetValid,
}

impl Outcome {
    pub(crate) fn refusal(self) -> Option<CertificateRefusal> {
        Some(match self {
            Outcome::Accepted => return None,
            Outcome::Revoked => CertificateRefusal::Revoked,
            Outcome::NotAuthorized => CertificateRefusal::NotAuthorized,
            Outcome::UnknownIssuer => CertificateRefusal::Untrusted(Distrust::UnknownIssuer),
            Outcome::Expired => CertificateRefusal::Untrusted(Distrust::Expired),
            Outcome::NotYetValid => CertificateRefusal::Untrusted(Distrust::NotYetValid),
        })
    }

    /// What a peer is told in a full handshake.
    pub(crate) fn alert(self) -> Option<AlertDescription> {
        Some(match self {
            Outcome::Accepted => return None,
            Outcome::Revoked => AlertDescription::CertificateRevoked,
            Outcome::NotAuthorized => AlertDescription::AccessDenied,
            Outcome::UnknownIssuer => AlertDescription::UnknownCA,
            // TLS has one word for both.
            Outcome::Expired | Outcome::NotYetValid => AlertDescription::CertificateExpired,
        })
    }
}

/// Which options are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) trusted_authorized_only: bool,
    pub(crate) any_authorized: bool,
}

const NEITHER: Options = Options { trusted_authorized_only: false, any_authorized: false };
const ONLY: Options = Options { trusted_authorized_only: true, any_authorized: false };
const ANY: Options = Options { trusted_authorized_only: false, any_authorized: true };
const BOTH: Options = Options { trusted_authorized_only: true, any_authorized: true };

type Row = (Issued, Validity, Option<Listing>, [Outcome; 4]);

/// The columns are [`NEITHER`], [`ONLY`], [`ANY`] and [`BOTH`]. Of a certificate with two faults the one that is its
/// own is named, not that of its issuer.
const TABLE: [Row; 18] = {
    use Issued::{Trusted, Unknown};
    use Listing::{Authorized, Revoked};
    use Outcome::{Accepted, Expired, NotAuthorized, NotYetValid, UnknownIssuer};
    use Validity::{Expired as Past, NotYet as Future, Valid};
    const REVOKED: [Outcome; 4] = [Outcome::Revoked; 4];
    [
        (Trusted, Valid, None, [Accepted, NotAuthorized, Accepted, NotAuthorized]),
        (Trusted, Valid, Some(Authorized), [Accepted, Accepted, Accepted, Accepted]),
        (Trusted, Valid, Some(Revoked), REVOKED),
        (Trusted, Past, None, [Expired, Expired, Expired, Expired]),
        (Trusted, Past, Some(Authorized), [Expired, Expired, Accepted, Accepted]),
        (Trusted, Past, Some(Revoked), REVOKED),
        (Trusted, Future, None, [NotYetValid, NotYetValid, NotYetValid, NotYetValid]),
        (Trusted, Future, Some(Authorized), [NotYetValid, NotYetValid, Accepted, Accepted]),
        (Trusted, Future, Some(Revoked), REVOKED),
        (Unknown, Valid, None, [UnknownIssuer, UnknownIssuer, UnknownIssuer, UnknownIssuer]),
        (Unknown, Valid, Some(Authorized), [UnknownIssuer, UnknownIssuer, Accepted, Accepted]),
        (Unknown, Valid, Some(Revoked), REVOKED),
        (Unknown, Past, None, [Expired, Expired, Expired, Expired]),
        (Unknown, Past, Some(Authorized), [Expired, Expired, Accepted, Accepted]),
        (Unknown, Past, Some(Revoked), REVOKED),
        (Unknown, Future, None, [NotYetValid, NotYetValid, NotYetValid, NotYetValid]),
        (Unknown, Future, Some(Authorized), [NotYetValid, NotYetValid, Accepted, Accepted]),
        (Unknown, Future, Some(Revoked), REVOKED),
    ]
};

/// One cell.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) issued: Issued,
    pub(crate) validity: Validity,
    pub(crate) listing: Option<Listing>,
    pub(crate) options: Options,
    pub(crate) outcome: Outcome,
}

impl fmt::Debug for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { issued, validity, listing, options, outcome } = self;
        write!(out, "issued by {issued:?}, {validity:?}, listed as {listing:?}, {options:?}: {outcome:?}")
    }
}

pub(crate) fn cells() -> impl Iterator<Item = Cell> {
    TABLE.iter().flat_map(|&(issued, validity, listing, outcomes)| {
        [NEITHER, ONLY, ANY, BOTH].into_iter().zip(outcomes).map(move |(options, outcome)| Cell {
            issued,
            validity,
            listing,
            options,
            outcome,
        })
    })
}

impl Cell {
    /// Its certificate; one for all cells that differ by list and options alone.
    pub(crate) fn identity(&self) -> &'static Identity {
        static MADE: OnceLock<Vec<(Issued, Validity, Identity)>> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let mut made = Vec::new();
            for (issued, authority) in [(Issued::Trusted, trusted()), (Issued::Unknown, stranger())] {
                for validity in [Validity::Valid, Validity::Expired, Validity::NotYet] {
                    let name = format!("device {issued:?} {validity:?}");
                    made.push((issued, validity, authority.issue(&client(name.as_str(), validity))));
                }
            }
            made
        });
        let found =
            made.iter().find(|(issued, validity, _)| (*issued, *validity) == (self.issued, self.validity));
        &found.expect("they were all made").2
    }

    pub(crate) fn policy(&self) -> CertificatePolicy {
        let mut policy = policy(self.options, trust_of(&[&trusted().certificate]));
        if let Some(listing) = self.listing {
            policy.listed.insert(presented::thumbprint(&self.identity().chain[0]), listing);
        }
        policy
    }
}

pub(crate) fn policy(options: Options, trust: Arc<dyn Trust>) -> CertificatePolicy {
    CertificatePolicy {
        trusted_authorized_only: options.trusted_authorized_only,
        any_authorized: options.any_authorized,
        listed: HashMap::new(),
        trust,
    }
}

/// Neither option, these authorities.
pub(crate) fn trusting(authorities: &[&rustls::pki_types::CertificateDer<'static>]) -> CertificatePolicy {
    policy(NEITHER, trust_of(authorities))
}

/// Trusts nobody, accepts this one certificate.
pub(crate) fn listing(certificate: &[u8]) -> CertificatePolicy {
    let mut policy = policy(ANY, trust_of(&[]));
    policy.listed.insert(presented::thumbprint(certificate), Listing::Authorized);
    policy
}

fn trust_of(authorities: &[&rustls::pki_types::CertificateDer<'static>]) -> Arc<dyn Trust> {
    let authorities: Vec<_> = authorities.iter().map(|&der| der.clone()).collect();
    Arc::new(WebPkiTrust::new(&authorities, None).expect("authorities"))
}

#[test]
fn the_table_has_every_cell_once() {
    let mut seen = Vec::new();
    for cell in cells() {
        let place = (cell.issued, cell.validity, cell.listing, cell.options);
        assert!(!seen.contains(&place), "{cell:?} is there twice");
        seen.push(place);
    }
    assert_eq!(seen.len(), 2 * 3 * 3 * 4);
}

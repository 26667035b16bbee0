//! Which client certificates are acceptable: one table, judged after every handshake, at CONNECT and after an Apply.
//!
//! It knows certificates as bytes, a name and a thumbprint. Whether a chain leads to a trusted authority is asked
//! through [`Trust`]; who answers that is not known here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// SHA-256 of a whole certificate, as DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

/// As it is written everywhere: 64 hexadecimal digits.
impl fmt::Display for Thumbprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::str::FromStr for Thumbprint {
    type Err = NotAThumbprint;

    /// Takes upper and lower case, and colons or spaces between the bytes, as other tools write it.
    fn from_str(text: &str) -> Result<Thumbprint, NotAThumbprint> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b' ')).collect();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotAThumbprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).expect("hexadecimal digits are text");
            *byte = u8::from_str_radix(pair, 16).expect("they were looked at");
        }
        Ok(Thumbprint(bytes))
    }
}

/// The text is not a SHA-256 thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 thumbprint: it has 64 hexadecimal digits")]
pub struct NotAThumbprint;

/// The Common Names of a certificate's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommonName {
    /// There is none, or it is not text (an ill-formed string type, a NUL).
    None,
    /// The client name.
    One(Box<str>),
    /// More than one: nobody can say which is meant.
    Several,
}

/// A certificate that a peer presented. A connection that has one has proved to hold its key.
#[derive(Debug)]
pub struct Presented {
    /// Of the peer's own certificate.
    pub thumbprint: Thumbprint,
    /// The subject, for people: `CN=device1,O=Example`. From outside: text, never markup.
    pub subject: Box<str>,
    /// Its Common Name.
    pub common_name: CommonName,
    /// The certificates as DER, the peer's own first, then what it sent with it.
    pub chain: Box<[Box<[u8]>]>,
}

/// Why a chain is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It leads to no authority that is configured or that the operating system trusts.
    UnknownIssuer,
    /// A certificate of it has expired.
    Expired,
    /// A certificate of it is not valid yet.
    NotYetValid,
    /// It is not for client authentication, or an issuer of it may not issue.
    WrongUsage,
    /// A signature of it does not fit.
    BadSignature,
    /// It is an X.509 version 1 certificate.
    Version1,
    /// Something else: what the verifier said.
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Distrust::UnknownIssuer => "no configured or trusted authority has issued it",
            Distrust::Expired => "it, or an issuer of it, has expired",
            Distrust::NotYetValid => "it, or an issuer of it, is not valid yet",
            Distrust::WrongUsage => "it is not meant for client authentication, or its issuer may not issue",
            Distrust::BadSignature => "a signature in its chain does not fit",
            Distrust::Version1 => {
                "it is an X.509 version 1 certificate: issue it with extensions (openssl x509 -req needs -extfile)"
            }
            Distrust::Other(what) => return write!(out, "it cannot be verified: {what}"),
        })
    }
}

/// That a chain was found trusted: it need not be verified again while the authorities are the same and nothing in it
/// has expired. Verifying takes a hundred microseconds, and an Apply looks at every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// [`Trust::fingerprint`] of whoever said so.
    pub by: u64,
    /// When the first certificate of the path expires, in seconds since 1970, UTC.
    pub until_unix_secs: u64,
}

/// Says whether chains lead to a trusted authority. One value stands for one set of authorities.
pub trait Trust: Send + Sync + fmt::Debug {
    /// Tells sets of authorities apart: equal sets have equal ones.
    fn fingerprint(&self) -> u64;

    /// Verifies `chain` (DER, the peer's own certificate first) for client authentication at a time (seconds since
    /// 1970, UTC).
    ///
    /// # Errors
    /// Why it is not trusted.
    fn verify(&self, chain: &[Box<[u8]>], unix_secs: u64) -> Result<Trusted, Distrust>;
}

/// Trusts nobody: there is no authority.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrust;

impl Trust for NoTrust {
    fn fingerprint(&self) -> u64 {
        0
    }

    fn verify(&self, _chain: &[Box<[u8]>], _unix_secs: u64) -> Result<Trusted, Distrust> {
        Err(Distrust::UnknownIssuer)
    }
}

/// How a client certificate is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Counts where a list is asked for.
    Authorized,
    /// Refused, whatever else speaks for it.
    Revoked,
}

/// What is asked of a connection's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// One must be presented.
    Required,
    /// None need be; one that is presented must be acceptable.
    Optional,
}

/// Why a connection is refused for its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// The connection was made before its listener was encrypted.
    NotEncrypted,
    /// None was presented where one is required.
    Missing,
    /// It is listed as Revoked.
    Revoked,
    /// Its chain is not trusted, and nothing else speaks for it.
    Untrusted(Distrust),
    /// It is trusted and not listed as Authorized, as the option asks.
    NotAuthorized,
    /// The peer did not prove that it holds the key. Never the answer of [`CertificatePolicy::judge`]: it is for
    /// whoever asked for the proof.
    Unproved,
}

impl fmt::Display for CertificateRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateRefusal::NotEncrypted => out.write_str("the connection is not encrypted"),
            CertificateRefusal::Missing => out.write_str("no client certificate was presented"),
            CertificateRefusal::Revoked => out.write_str("the client certificate is listed as Revoked"),
            CertificateRefusal::Untrusted(why) => write!(out, "the client certificate is not trusted: {why}"),
            CertificateRefusal::NotAuthorized => {
                out.write_str("the client certificate is trusted but not listed as Authorized")
            }
            CertificateRefusal::Unproved => out.write_str(
                "the client did not prove that it holds the key of the certificate that it presented",
            ),
        }
    }
}

/// The options about client certificates, and the list.
#[derive(Clone, Debug)]
pub struct CertificatePolicy {
    /// "Accept trusted authorized client certificates only".
    pub trusted_authorized_only: bool,
    /// "Accept any authorized client certificate": listed suffices, trust is not needed, expiry not looked at.
    pub any_authorized: bool,
    /// "Client Certificates".
    pub listed: HashMap<Thumbprint, Listing>,
    /// The configured authorities, and the operating system's if they count.
    pub trust: Arc<dyn Trust>,
}

impl Default for CertificatePolicy {
    fn default() -> CertificatePolicy {
        CertificatePolicy {
            trusted_authorized_only: false,
            any_authorized: false,
            listed: HashMap::new(),
            trust: Arc::new(NoTrust),
        }
    }
}

impl CertificatePolicy {
    /// Judges what a peer presented, or that it presented nothing, at a time (seconds since 1970, UTC).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(
        &self,
        presented: Option<&Presented>,
        requirement: Requirement,
        unix_secs: u64,
    ) -> Result<(), CertificateRefusal> {
        self.judge_again(presented, requirement, unix_secs, None).map(|_| ())
    }

    /// The same of one whose chain may have been found trusted earlier. Answers by whom it is trusted now; `None`: that
    /// was not asked.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_again(
        &self,
        presented: Option<&Presented>,
        requirement: Requirement,
        unix_secs: u64,
        earlier: Option<Trusted>,
    ) -> Result<Option<Trusted>, CertificateRefusal> {
        let Some(presented) = presented else {
            return match requirement {
                Requirement::Required => Err(CertificateRefusal::Missing),
                Requirement::Optional => Ok(None),
            };
        };
        let listing = self.listed.get(&presented.thumbprint);
        let trusted = || {
            let holds = |t: &Trusted| t.by == self.trust.fingerprint() && unix_secs <= t.until_unix_secs;
            match earlier.filter(holds) {
                Some(earlier) => Ok(Some(earlier)),
                None => {
                    let verified = self.trust.verify(&presented.chain, unix_secs);
                    verified.map(Some).map_err(CertificateRefusal::Untrusted)
                }
            }
        };
        match (listing, self.trusted_authorized_only, self.any_authorized) {
            (Some(Listing::Revoked), ..) => Err(CertificateRefusal::Revoked),
            (Some(Listing::Authorized), _, true) => Ok(None),
            (Some(Listing::Authorized), _, false) | (None, false, _) => trusted(),
            // An untrusted one is told so: that would have to be seen to first.
            (None, true, _) => trusted().and(Err(CertificateRefusal::NotAuthorized)),
        }
    }
}

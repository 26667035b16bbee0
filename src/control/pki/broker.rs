//! The certificate that the broker makes for itself when none is configured, and when it makes a new one.

use zeroize::Zeroizing;

use super::describe::{self, Description};
use super::make::{self, BrokerRequest};
use super::{Certified, Issuer, KeyType, PkiError, SanName, Store, Thumbprint, store};

/// The names that the broker's certificate must bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// These and no others: somebody has written them down.
    Exactly(Vec<SanName>),
    /// These at least: the machine's own, of which some come and go.
    AtLeast(Vec<SanName>),
}

impl Names {
    fn wanted(&self) -> &[SanName] {
        match self {
            Names::Exactly(names) | Names::AtLeast(names) => names,
        }
    }

    fn are_met_by(&self, found: &[String]) -> bool {
        let all = self.wanted().iter().all(|name| found.contains(&name.to_string()));
        match self {
            Names::Exactly(names) => {
                all && found.iter().all(|found| names.iter().any(|name| name.to_string() == *found))
            }
            Names::AtLeast(_) => all,
        }
    }
}

/// The broker's own certificate.
#[derive(Debug)]
pub struct BrokerCertificate {
    /// Certificate, chain and key.
    pub certified: Certified,
    /// What it says.
    pub description: Description,
    /// When to come again for a new one: two thirds of its life, in seconds since 1970.
    pub renew_at: i64,
    /// Its thumbprint.
    pub thumbprint: Thumbprint,
    /// Whether it was made just now.
    pub made: Made,
}

/// Whether a certificate is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was there and is kept.
    Before,
    /// It was made and stored just now.
    Now,
}

/// The broker's own certificate at a time (seconds since 1970): the one that is kept, as long as it has the issuer and
/// the names that are wanted and is in the first two thirds of its life; else a new one, stored before it is returned.
///
/// # Errors
/// It cannot be made or stored; what was there stays.
pub fn ensure(
    store: &Store,
    issuer: Option<&Issuer>,
    names: &Names,
    now: i64,
) -> Result<BrokerCertificate, PkiError> {
    if let Some(kept) = current(store)?
        && issued_by(&kept, issuer)
        && names.are_met_by(&kept.description.alternative_names)
        && (kept.description.not_before..kept.renew_at).contains(&now)
    {
        return Ok(kept);
    }
    let made = renewed(store, issuer, names.wanted(), None, now)?;
    keep(store, &made)?;
    Ok(made)
}

/// Makes a new one, at a time in seconds since 1970; [`keep`] puts it in the place of the one that is there. Without a
/// type of key it gets one like that one's.
///
/// # Errors
/// It cannot be made.
pub fn renewed(
    store: &Store,
    issuer: Option<&Issuer>,
    names: &[SanName],
    key_type: Option<KeyType>,
    now: i64,
) -> Result<BrokerCertificate, PkiError> {
    let key_type = match key_type {
        Some(key_type) => key_type,
        None => {
            current(store)?.and_then(|kept| KeyType::described(&kept.description.key)).unwrap_or_default()
        }
    };
    let request = BrokerRequest { names: names.to_vec(), days: make::BROKER_DAYS, key_type };
    described(make::broker(issuer, &request, now)?, Made::Now)
}

/// Puts a new one in the place of the one that is there.
///
/// # Errors
/// The disk fails; what was there stays.
pub fn keep(store: &Store, made: &BrokerCertificate) -> Result<(), PkiError> {
    let mut text = Zeroizing::new(store::pem_of_chain(&made.certified.chain).into_bytes());
    if let Some(key) = &made.certified.key {
        text.extend_from_slice(&store::pem_of_key(key));
    }
    store.write(&store.current(), &text)
}

/// The one that is kept, if there is one. A file that is damaged counts as none: a new one costs nothing.
///
/// # Errors
/// It cannot be read, or others may read it.
pub fn current(store: &Store) -> Result<Option<BrokerCertificate>, PkiError> {
    let path = store.current();
    let Some(text) = store::read(&path)? else { return Ok(None) };
    store::private(&path)?;
    let Ok((chain, Some(key))) = store::sections(&path, &text) else { return Ok(None) };
    let whole = chain.first().is_some_and(|first| super::keys::fits(first, &key).unwrap_or(false));
    if !whole {
        return Ok(None);
    }
    Ok(described(Certified { chain, key: Some(key) }, Made::Before).ok())
}

fn described(certified: Certified, made: Made) -> Result<BrokerCertificate, PkiError> {
    let description = describe::describe(certified.certificate())?;
    let life = description.not_after - description.not_before;
    Ok(BrokerCertificate {
        renew_at: description.not_before + life / 3 * 2,
        thumbprint: description.sha256,
        description,
        certified,
        made,
    })
}

/// Whether an authority (or, without one, itself) has signed it. Its name alone would not do: an authority that was made
/// anew may bear the old one's.
fn issued_by(kept: &BrokerCertificate, issuer: Option<&Issuer>) -> bool {
    let certificate = kept.certified.certificate();
    let authority = issuer.map_or(certificate, |issuer| &issuer.chain()[0]);
    let signed = || {
        let (certificate, authority) = (describe::parse(certificate).ok()?, describe::parse(authority).ok()?);
        let named = certificate.issuer().as_raw() == authority.subject().as_raw();
        (named && certificate.verify_signature(Some(authority.public_key())).is_ok()).then_some(())
    };
    signed().is_some()
}

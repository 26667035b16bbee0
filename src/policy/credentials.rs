//! User names and what is stored of their passwords: PHC strings, argon2id alone.
//!
//! Verifying one is arithmetic and nothing else, but it takes tens of milliseconds: never on a shard.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{ARGON2ID_IDENT, Argon2, Params, PasswordVerifier};
use sha2::{Digest, Sha256};

/// Memory that one check may take, in KiB: from the least that OWASP allows to what a few checks at once do not hurt by.
pub const MEMORY_KIB: RangeInclusive<u32> = 7_168..=262_144;
/// Lanes of argon2; they are computed one after the other.
pub const LANES: RangeInclusive<u32> = 1..=16;
/// Most memory times passes, in KiB: more than a second a check, on most machines.
pub const WORK_KIB: u64 = 1 << 20;
/// Bytes of the hash itself, at least.
pub const HASH_BYTES: usize = 16;
/// argon2's version 1.3, the only one without known weaknesses.
const VERSION: u32 = 19;

/// What is stored of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    phc: Arc<str>,
    proof: Proof,
}

/// By which stored password somebody was proved: tells whether it is still the same, and nothing else of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proof(u64);

/// A user name whose password was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedUser {
    /// The user name.
    pub name: Box<str>,
    /// By what.
    pub proof: Proof,
}

/// Even a hash is no business of a log.
impl fmt::Debug for StoredPassword {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StoredPassword(..)")
    }
}

/// Why a text is not taken as a stored password. The text itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum BadStoredPassword {
    #[error("is not a password hash in PHC format ($argon2id$v=19$m=..,t=..,p=..$salt$hash)")]
    NotPhc,
    #[error("is hashed with `{0}`, and only argon2id is taken")]
    Algorithm(String),
    #[error("is hashed with an old version of argon2id, and only v=19 is taken")]
    Version,
    #[error("has {0} KiB of memory (m=), which is not between {least} and {most}", least = MEMORY_KIB.start(), most = MEMORY_KIB.end())]
    Memory(u32),
    #[error("has {0} lanes (p=), which is not between {least} and {most}", least = LANES.start(), most = LANES.end())]
    Lanes(u32),
    #[error(
        "takes too long to verify: memory times passes (m= times t=) is {0} KiB, and at most {WORK_KIB} are taken"
    )]
    Work(u64),
    #[error("has a parameter that is not m, t or p")]
    Parameters,
    #[error("has no salt of at least 8 bytes, or no hash of at least {HASH_BYTES}")]
    Short,
}

impl BadStoredPassword {
    /// What to do about any of them.
    pub const REMEDY: &'static str = "let `tidemq user passwd NAME` make one";
}

impl std::str::FromStr for StoredPassword {
    type Err = BadStoredPassword;

    fn from_str(phc: &str) -> Result<StoredPassword, BadStoredPassword> {
        use BadStoredPassword as Bad;
        let hash = PasswordHash::new(phc).map_err(|_| Bad::NotPhc)?;
        if hash.algorithm != ARGON2ID_IDENT {
            return Err(Bad::Algorithm(hash.algorithm.to_string()));
        }
        if hash.version != Some(VERSION) {
            return Err(Bad::Version);
        }
        if hash.params.iter().any(|(name, _)| !matches!(name.as_str(), "m" | "t" | "p")) {
            return Err(Bad::Parameters);
        }
        let named = |name| hash.params.get(name).and_then(|value| value.decimal().ok());
        let (Some(memory), Some(passes), Some(lanes)) = (named("m"), named("t"), named("p")) else {
            return Err(Bad::NotPhc);
        };
        if !MEMORY_KIB.contains(&memory) {
            return Err(Bad::Memory(memory));
        }
        if !LANES.contains(&lanes) {
            return Err(Bad::Lanes(lanes));
        }
        let work = u64::from(memory) * u64::from(passes);
        if work > WORK_KIB {
            return Err(Bad::Work(work));
        }
        if hash.salt.is_none() || hash.hash.is_none_or(|hash| hash.len() < HASH_BYTES) {
            return Err(Bad::Short);
        }
        // What is left: no passes at all.
        Params::try_from(&hash).map_err(|_| Bad::NotPhc)?;
        let digest = Sha256::digest(phc);
        let (head, _) = digest.split_first_chunk().expect("32 bytes have eight");
        Ok(StoredPassword { phc: phc.into(), proof: Proof(u64::from_le_bytes(*head)) })
    }
}

impl StoredPassword {
    /// The PHC string.
    pub fn as_phc(&self) -> &str {
        &self.phc
    }

    /// What whoever is proved by it keeps.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Whether it is this password's. Takes as long as its parameters say: tens of milliseconds, up to a second.
    pub fn verify(&self, password: &[u8]) -> bool {
        PasswordHash::new(&self.phc)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }
}

/// Who may connect by user name and password.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    require: bool,
    users: HashMap<Box<str>, StoredPassword>,
    /// The same, for users who do not exist: verifying for them costs what it costs for one who does.
    decoys: Box<[StoredPassword]>,
}

/// What is to be done about the credentials of a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// Nothing: the client is welcome without a user name. What it sent is not looked at.
    Anonymous,
    /// The password is to be verified against this.
    Verify(&'a StoredPassword),
    /// The password is to be verified against this, and the client is refused whatever comes out: there is no such
    /// user, and nobody is to learn that from the time it takes.
    Pretend(&'a StoredPassword),
    /// The client is refused.
    Refused(CredentialRefusal),
}

/// Why a client is refused for its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialRefusal {
    /// It sent none, and they are required.
    Missing,
    /// They do not match.
    Wrong,
}

impl Credentials {
    /// These users; with `require` nobody else. Of two with one name the later one counts: the configuration refuses
    /// that.
    pub fn new(require: bool, users: impl IntoIterator<Item = (Box<str>, StoredPassword)>) -> Credentials {
        let users: Vec<_> = users.into_iter().collect();
        let decoys = users.iter().map(|(_, stored)| stored.clone()).collect();
        Credentials { require, users: users.into_iter().collect(), decoys }
    }

    /// "Require client credentials".
    pub fn are_required(&self) -> bool {
        self.require
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// There are no users.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// What is stored of a user's password.
    pub fn find(&self, user: &str) -> Option<&StoredPassword> {
        self.users.get(user)
    }

    /// Looks at what a CONNECT has sent, as far as that goes without verifying a password.
    pub fn judge(&self, user: Option<&str>, password: Option<&[u8]>) -> Judgement<'_> {
        if self.users.is_empty() && !self.require {
            return Judgement::Anonymous;
        }
        match (user, password) {
            (None, None) if self.require => Judgement::Refused(CredentialRefusal::Missing),
            (None, None) => Judgement::Anonymous,
            // Half of them never match, and say nothing of who exists.
            (None, Some(_)) | (Some(_), None) => Judgement::Refused(CredentialRefusal::Wrong),
            (Some(user), Some(_)) => {
                let verify = self.users.get(user).map(Judgement::Verify);
                let pretend = || self.decoy(user).map(Judgement::Pretend);
                verify.or_else(pretend).unwrap_or(Judgement::Refused(CredentialRefusal::Wrong))
            }
        }
    }

    /// Some user's stored password; for one name always the same, so that asking again tells nothing.
    fn decoy(&self, user: &str) -> Option<&StoredPassword> {
        let digest = Sha256::digest(user);
        let (head, _) = digest.split_first_chunk().expect("32 bytes have eight");
        let users = self.decoys.len() as u64;
        users.checked_sub(1).map(|_| &self.decoys[(u64::from_le_bytes(*head) % users) as usize])
    }

    /// Whether a client that was accepted before may stay, as what it has proved to be. A changed password is another
    /// one: the proof of the old one holds no longer.
    pub fn still_accept(&self, proved: Option<&ProvedUser>) -> bool {
        proved.map_or(!self.require, |user| self.holds(&user.name, user.proof))
    }

    /// Whether a user still has the password that is stored so.
    pub(super) fn holds(&self, user: &str, proof: Proof) -> bool {
        self.users.get(user).is_some_and(|stored| stored.proof == proof)
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
pub(crate) mod tests;

//! Which credentials were verified a while ago: a client that comes again is not hashed again.
//!
//! Kept is a keyed hash of user, password and stored string, under a key that dies with the process: neither a password
//! nor anything that one could be guessed from without that key.

use std::collections::HashMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::credentials::{Credentials, Proof, StoredPassword};

/// Stands for a user name, a password and what is stored for it, and for nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LoginKey([u8; 32]);

/// Of no use without the key, and of no use in a log.
impl fmt::Debug for LoginKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LoginKey(..)")
    }
}

/// The cache. As large as there are users at most: of a stored string one password is the right one.
pub struct Verified {
    key: Hmac<Sha256>,
    by_user: HashMap<Box<str>, (LoginKey, Proof)>,
}

impl fmt::Debug for Verified {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Verified({} users)", self.by_user.len())
    }
}

impl Verified {
    /// An empty one. `secret` is random, and known to nobody else.
    pub fn new(secret: &[u8; 32]) -> Verified {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Verified { key, by_user: HashMap::new() }
    }

    /// What stands for these credentials; `None`: there is no such user.
    pub fn key(&self, user: &str, password: &[u8], stored: Option<&StoredPassword>) -> LoginKey {
        let mut mac = self.key.clone();
        // Each with its length in front: no two triples are the same bytes.
        for part in [user.as_bytes(), password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        match stored {
            Some(stored) => {
                mac.update(&[1]);
                mac.update(stored.as_phc().as_bytes());
            }
            None => mac.update(&[0]),
        }
        LoginKey(mac.finalize().into_bytes().into())
    }

    /// Whether these were verified.
    pub fn holds(&self, user: &str, key: LoginKey) -> bool {
        self.by_user.get(user).is_some_and(|(verified, _)| *verified == key)
    }

    /// They were verified, by what is stored now.
    pub fn insert(&mut self, user: &str, key: LoginKey, proof: Proof) {
        self.by_user.insert(user.into(), (key, proof));
    }

    /// Forgets the users who have another password now, or are gone.
    pub fn evict(&mut self, credentials: &Credentials) {
        self.by_user.retain(|user, (_, proof)| credentials.holds(user, *proof));
    }

    /// How many users it knows.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// It knows nobody.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::credentials::tests::stored;
    use super::*;

    fn cache() -> Verified {
        Verified::new(&[7; 32])
    }

    #[test]
    fn what_was_verified_is_known_until_the_users_stored_password_changes() {
        let mut cache = cache();
        let (first, second) = (stored("first"), stored("second"));
        let key = cache.key("anna", b"secret", Some(&first));
        assert!(!cache.holds("anna", key));
        cache.insert("anna", key, first.proof());
        cache.insert("bert", cache.key("bert", b"geheim", Some(&first)), first.proof());
        assert!(cache.holds("anna", key));
        assert!(!cache.holds("bert", key));
        for (user, password, stored) in
            [("anna", "Secret", &first), ("anna", "", &first), ("anna", "secret", &second)]
        {
            assert!(!cache.holds(user, cache.key(user, password.as_bytes(), Some(stored))), "{password}");
        }
        let users = |anna: &StoredPassword| Credentials::new(false, [("anna".into(), anna.clone())]);
        cache.evict(&users(&first));
        assert!(cache.holds("anna", key) && cache.len() == 1, "bert is gone, anna is not");
        cache.evict(&users(&second));
        assert!(cache.is_empty());
    }

    #[test]
    fn another_secret_makes_other_keys() {
        let key = |secret| Verified::new(&[secret; 32]).key("anna", b"secret", None);
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn it_shows_nothing_of_what_it_knows() {
        let mut cache = cache();
        let key = cache.key("anna", b"secret", Some(&stored("first")));
        cache.insert("anna", key, stored("first").proof());
        assert_eq!(format!("{cache:?} {key:?}"), "Verified(1 users) LoginKey(..)");
    }

    proptest! {
        /// However user, password and stored string divide the same bytes, no two divisions have one key.
        #[test]
        fn keys_differ_by_where_the_parts_are_divided(text in "[ab$]{1,12}", at in 0usize..12, to in 0usize..12) {
            let cache = cache();
            let (at, to) = (at.min(text.len()), to.min(text.len()));
            let key = |at: usize| cache.key(&text[..at], &text.as_bytes()[at..], None);
            prop_assert_eq!(key(at) == key(to), at == to);
            let known = cache.key(&text[..at], &text.as_bytes()[at..], Some(&stored("first")));
            prop_assert!(known != key(at) && known != key(to));
        }

        /// A password that ends like a stored string does not stand for a shorter one with that string.
        #[test]
        fn a_password_is_not_taken_for_a_stored_string(user in ".{0,8}", password in prop::collection::vec(any::<u8>(), 0..40)) {
            let (cache, stored) = (cache(), stored("first"));
            let longer = [&password[..], &[1], stored.as_phc().as_bytes()].concat();
            let key = cache.key(&user, &password, Some(&stored));
            prop_assert!(key != cache.key(&user, &longer, None));
            prop_assert!(key != cache.key(&user, &longer, Some(&stored)));
        }
    }
}

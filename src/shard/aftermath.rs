//! What an install has done to clients: a bounded account, for whoever has applied a configuration.

/// Names listed. More are only counted.
pub const LISTED: usize = 100;
/// Different reasons told apart. Clients put out for others are only counted.
pub const REASONS: usize = 16;

/// Whom the last install has put out, and what it has taken from whom, so far. Texts are from outside: escape them where
/// they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Clients disconnected.
    pub clients_disconnected: u64,
    /// Subscriptions withdrawn, those of clients that are not connected included.
    pub subscriptions_withdrawn: u64,
    /// Why, and how many for each reason; the first [`REASONS`] different ones.
    pub reasons: Vec<(String, u64)>,
    /// The first [`LISTED`] of those who were disconnected.
    pub disconnected: Vec<PutOut>,
    /// The first [`LISTED`] subscriptions that were withdrawn, because no rule allows them any more.
    pub withdrawn: Vec<Withdrawn>,
}

/// A client that was disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOut {
    /// Its client identifier.
    pub client_id: Box<str>,
    /// Why.
    pub reason: String,
}

/// A subscription that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// Whose it was.
    pub client_id: Box<str>,
    /// Its filter.
    pub filter: Box<str>,
}

impl Aftermath {
    pub(super) fn put_out(&mut self, client_id: &str, reason: &str) {
        self.clients_disconnected += 1;
        self.count(reason, 1);
        if self.disconnected.len() < LISTED {
            self.disconnected.push(PutOut { client_id: client_id.into(), reason: reason.to_owned() });
        }
    }

    pub(super) fn withdraw(&mut self, client_id: &str, filter: &str) {
        self.subscriptions_withdrawn += 1;
        if self.withdrawn.len() < LISTED {
            self.withdrawn.push(Withdrawn { client_id: client_id.into(), filter: filter.into() });
        }
    }

    /// Adds what happened on another shard.
    pub fn add(&mut self, other: Aftermath) {
        self.clients_disconnected += other.clients_disconnected;
        self.subscriptions_withdrawn += other.subscriptions_withdrawn;
        for (reason, count) in other.reasons {
            self.count(&reason, count);
        }
        self.disconnected.extend(other.disconnected);
        self.disconnected.truncate(LISTED);
        self.withdrawn.extend(other.withdrawn);
        self.withdrawn.truncate(LISTED);
    }

    fn count(&mut self, reason: &str, more: u64) {
        if let Some((_, count)) = self.reasons.iter_mut().find(|(known, _)| known == reason) {
            *count += more;
        } else if self.reasons.len() < REASONS {
            self.reasons.push((reason.to_owned(), more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_some_of_it_listed() {
        let mut all = Aftermath::default();
        for shard in 0..3 {
            let mut one = Aftermath::default();
            for n in 0..60 {
                one.put_out(&format!("client-{shard}-{n}"), &format!("reason {}", n % 10 + shard * 5));
                one.withdraw("client", "a/b");
            }
            all.add(one);
        }
        assert_eq!((all.clients_disconnected, all.subscriptions_withdrawn), (180, 180));
        assert_eq!((all.disconnected.len(), all.withdrawn.len()), (LISTED, LISTED));
        assert_eq!(all.reasons.len(), REASONS);
        assert_eq!(all.reasons[5], ("reason 5".to_owned(), 12));
    }
}

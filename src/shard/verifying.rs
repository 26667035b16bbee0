//! Credentials of a CONNECT: known from the cache, or verified by whoever has the time for it.
//!
//! While a password is being verified its CONNECT stays where it is, unread in front of what came after it, and the
//! connection is not read on. With the answer it is read again, as if it had just arrived: by the snapshot of then. So
//! nothing is processed before the client was accepted, no session is touched, and there is nothing to undo when the
//! peer leaves or an Apply comes between.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::mqtt::ReasonCode;
use crate::mqtt::connect::Connect;
use crate::policy::credentials::{CredentialRefusal, Credentials, Judgement, Proof, StoredPassword};
use crate::policy::verified::{LoginKey, Verified};
use crate::policy::{Generation, Ground, ProvedUser};
use crate::session::ConnId;

use super::Shard;
use super::effect::Effect;
use super::explain::Refusal;

/// Most checks that a shard has under way. More would only make them wait elsewhere, where nobody sees that their peers
/// have left.
pub const CHECKS_UNDER_WAY: usize = 32;

/// Most CONNECT packets that are read again in one turn: thousands may wait for one password.
const CONNECTS_PER_TURN: usize = 128;

/// Which check an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckId(u64);

/// A password to be verified, off the shard.
#[derive(Clone)]
pub struct PasswordCheck {
    /// To be named with the answer.
    pub id: CheckId,
    /// From where it was tried.
    pub peer: IpAddr,
    /// For whom.
    pub user: Box<str>,
    /// The password.
    pub password: Box<[u8]>,
    /// What it is verified against.
    pub stored: StoredPassword,
    /// Whether there is such a user; if not, the password is verified all the same and is wrong.
    pub exists: bool,
    /// See [`Limits::failed_logins_per_minute`](crate::policy::Limits::failed_logins_per_minute).
    pub failures_per_minute: u16,
}

/// Without the password.
impl fmt::Debug for PasswordCheck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PasswordCheck({:?}, user {:?}, from {})", self.id, self.user, self.peer)
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordOutcome {
    /// The password is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// It was not verified: there were too many wrong ones from that address.
    Limited,
}

/// What came of a CONNECT's credentials.
#[derive(Debug)]
pub(super) enum Authentication {
    /// They hold, or none are asked for. The user, if one was proved.
    Proved(Option<ProvedUser>),
    /// They are being verified: CONNECT goes on when the answer is there.
    Waits,
    /// They do not hold.
    Refused(Refusal),
}

/// How far the credentials of a connection's CONNECT are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// They wait for a check: their own, one of the same credentials, or for room to ask for one.
    Waits,
    /// What came of a check of these.
    Verified(LoginKey, PasswordOutcome),
    /// The time for CONNECT is over.
    Late,
}

/// A check under way.
#[derive(Debug)]
struct Asked {
    id: CheckId,
    key: LoginKey,
    user: Box<str>,
    /// By what the user is proved; `None`: there is no such user.
    proof: Option<Proof>,
    peer: IpAddr,
    /// By which it was asked.
    generation: Generation,
    /// Who waits for the answer: everybody who came with these credentials meanwhile.
    waiters: Waiting,
}

/// Connections in the order in which they came. Those that have left are looked for when they become many.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<ConnId>,
    trim_at: usize,
}

impl Waiting {
    fn push(&mut self, conn: ConnId, is_there: impl Fn(ConnId) -> bool) {
        if self.queue.len() >= self.trim_at {
            self.queue.retain(|conn| is_there(*conn));
            self.trim_at = 64.max(2 * self.queue.len());
        }
        self.queue.push_back(conn);
    }
}

/// The shard's side of verifying passwords.
#[derive(Debug)]
pub(super) struct Verifying {
    verified: Verified,
    /// Never more than `CHECKS_UNDER_WAY`.
    asked: Vec<Asked>,
    /// Whose CONNECT is to be read again: there is an answer.
    answered: VecDeque<ConnId>,
    /// The same: there may be room to ask for them.
    queue: Waiting,
    /// For the driver to take.
    checks: Vec<PasswordCheck>,
    next: u64,
}

impl Verifying {
    /// `seed` is random, and known to this shard alone.
    pub(super) fn new(seed: [u64; 4]) -> Verifying {
        let mut secret = Sha256::new_with_prefix("tidemq: credentials that were verified");
        seed.iter().for_each(|word| secret.update(word.to_le_bytes()));
        Verifying {
            verified: Verified::new(&secret.finalize().into()),
            asked: Vec::new(),
            answered: VecDeque::new(),
            queue: Waiting::default(),
            checks: Vec::new(),
            next: 0,
        }
    }

    /// A new snapshot holds.
    pub(super) fn install(&mut self, credentials: &Credentials) {
        self.verified.evict(credentials);
    }

    /// The next connection whose CONNECT may go on.
    fn next_to_read(&mut self) -> Option<ConnId> {
        let room = self.asked.len() < CHECKS_UNDER_WAY;
        self.answered.pop_front().or_else(|| room.then(|| self.queue.queue.pop_front())?)
    }

    fn has_more(&self) -> bool {
        let room = self.asked.len() < CHECKS_UNDER_WAY;
        !self.answered.is_empty() || (room && !self.queue.queue.is_empty())
    }

    /// Connections that wait, those that have left and were not looked for yet included.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let asked: usize = self.asked.iter().map(|asked| asked.waiters.queue.len()).sum();
        asked + self.queue.queue.len() + self.answered.len()
    }

    #[cfg(test)]
    pub(super) fn knows_nobody(&self) -> bool {
        self.verified.is_empty()
    }

    /// Checks under way.
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }
}

impl Shard {
    /// Looks at the credentials of a CONNECT.
    pub(super) fn authenticate(&mut self, conn: ConnId, connect: &Connect<'_>) -> Authentication {
        let snapshot = self.snapshot.clone();
        let login = self.connections[conn.index as usize].login.take().map(|login| *login);
        let (stored, exists) = match snapshot.credentials.judge(connect.user_name, connect.password) {
            Judgement::Anonymous => return Authentication::Proved(None),
            Judgement::Refused(refusal) => return Authentication::Refused(explain(refusal)),
            Judgement::Verify(stored) => (stored, true),
            Judgement::Pretend(stored) => (stored, false),
        };
        let (Some(user), Some(password)) = (connect.user_name, connect.password) else {
            unreachable!("half of the credentials is never verified")
        };
        let key = self.verifying.verified.key(user, password, exists.then_some(stored));
        let connection = &mut self.connections[conn.index as usize];
        let outcome = match login {
            _ if self.verifying.verified.holds(user, key) => Some(PasswordOutcome::Right),
            Some(Login::Verified(of, outcome)) if of == key => Some(outcome),
            Some(Login::Late) => return Authentication::Refused(BUSY),
            // Not asked for yet, or what is stored is another meanwhile.
            _ => None,
        };
        match outcome {
            Some(PasswordOutcome::Right) if exists => {
                Authentication::Proved(Some(ProvedUser { name: user.into(), proof: stored.proof() }))
            }
            Some(PasswordOutcome::Right | PasswordOutcome::Wrong) => {
                Authentication::Refused(explain(CredentialRefusal::Wrong))
            }
            Some(PasswordOutcome::Limited) => Authentication::Refused(LIMITED),
            None => {
                connection.login = Some(Box::new(Login::Waits));
                let check = PasswordCheck {
                    id: CheckId(self.verifying.next),
                    peer: connection.peer.ip(),
                    user: user.into(),
                    password: password.into(),
                    stored: stored.clone(),
                    exists,
                    failures_per_minute: snapshot.limits.failed_logins_per_minute,
                };
                self.ask(conn, key, check);
                Authentication::Waits
            }
        }
    }

    /// Has a password verified: by a check of the same that is under way, by a new one, or by one later on.
    fn ask(&mut self, conn: ConnId, key: LoginKey, check: PasswordCheck) {
        let Shard { verifying, connections, snapshot, .. } = self;
        let is_there = |conn: ConnId| {
            let c = &connections[conn.index as usize];
            c.generation == conn.generation && c.login.is_some()
        };
        if let Some(same) = verifying.asked.iter_mut().find(|asked| asked.key == key) {
            return same.waiters.push(conn, is_there);
        }
        if verifying.asked.len() >= CHECKS_UNDER_WAY {
            return verifying.queue.push(conn, is_there);
        }
        let mut waiters = Waiting::default();
        waiters.push(conn, is_there);
        verifying.asked.push(Asked {
            id: check.id,
            key,
            user: check.user.clone(),
            proof: check.exists.then(|| check.stored.proof()),
            peer: check.peer,
            generation: snapshot.generation,
            waiters,
        });
        verifying.next += 1;
        verifying.checks.push(check);
    }

    /// Passwords to be verified since the last call. Each is answered by `handle_password`, in any order.
    pub fn take_password_checks(&mut self) -> Vec<PasswordCheck> {
        std::mem::take(&mut self.verifying.checks)
    }

    /// What came of a check. `work` goes on with whoever waited for it.
    pub fn handle_password(&mut self, check: CheckId, outcome: PasswordOutcome) {
        let Some(at) = self.verifying.asked.iter().position(|asked| asked.id == check) else { return };
        let Asked { key, user, proof, peer, generation, waiters, .. } = self.verifying.asked.remove(at);
        // What began before an Apply fills no cache after it.
        if let (PasswordOutcome::Right, Some(proof)) = (outcome, proof)
            && generation == self.snapshot.generation
        {
            self.verifying.verified.insert(&user, key, proof);
        }
        for conn in waiters.queue {
            let Some(c) = self.connection_mut(conn) else { continue };
            // That one address has used up its failures is no reason to refuse another: it asks again.
            if outcome != PasswordOutcome::Limited || c.peer.ip() == peer {
                c.login = Some(Box::new(Login::Verified(key, outcome)));
            }
            self.verifying.answered.push_back(conn);
        }
    }

    /// Goes on with connections whose credentials waited, as many as a turn's slice allows. True: there are more.
    pub(super) fn go_on_connecting(&mut self) -> bool {
        for _ in 0..CONNECTS_PER_TURN {
            let Some(conn) = self.verifying.next_to_read() else { break };
            self.read_connect_again(conn);
        }
        self.verifying.has_more()
    }

    fn read_connect_again(&mut self, conn: ConnId) {
        if let Some(c) = self.connection_mut(conn) {
            c.paused = false;
            self.effects.push_back(Effect::Resume(conn));
            self.read_on(conn);
        }
    }

    /// Whether a CONNECT has come on this connection whose credentials are being verified.
    pub(super) fn is_verifying(&self, conn: ConnId) -> bool {
        self.connection(conn).is_some_and(|c| c.login.is_some())
    }

    /// The CONNECT stays unread until its password is verified.
    pub(super) fn wait_for_password(&mut self, conn: ConnId) {
        if let Some(c) = self.connection_mut(conn) {
            c.paused = true;
            self.effects.push_back(Effect::Pause(conn));
        }
    }

    /// The time for CONNECT is over. True: it had come, and only its password was not verified in time.
    pub(super) fn give_up_verifying(&mut self, conn: ConnId) -> bool {
        let Some(login) = self.connection_mut(conn).and_then(|c| c.login.as_deref_mut()) else {
            return false;
        };
        *login = Login::Late;
        self.read_connect_again(conn);
        true
    }
}

const LIMITED: Refusal = Refusal {
    ground: Ground::Limit,
    reason: ReasonCode::ConnectionRateExceeded,
    why: "There were too many wrong passwords from the client's address.",
};
const BUSY: Refusal = Refusal {
    ground: Ground::Limit,
    reason: ReasonCode::ServerBusy,
    why: "The server has more passwords to verify than it can in time.",
};

/// "Bad User Name or Password" is what a client is told whose credentials "the Server does not accept"; who has sent
/// none is "not authorized to connect" `[MQTT 5.0, 3.2.2.2]` `[MQTT 3.1.1, 3.2.2.3]`.
fn explain(refusal: CredentialRefusal) -> Refusal {
    match refusal {
        CredentialRefusal::Wrong => Refusal {
            ground: Ground::Credentials,
            reason: ReasonCode::BadUserNameOrPassword,
            why: "The user name or the password is not right.",
        },
        CredentialRefusal::Missing => Refusal {
            ground: Ground::Credentials,
            reason: ReasonCode::NotAuthorized,
            why: "The client must send a user name and a password.",
        },
    }
}

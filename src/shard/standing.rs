//! What a client may do, and by which snapshot that was judged: the only place that asks the certificate policy and the
//! topic rules.
//!
//! A client carries its standing. Whoever is about to use one that an older snapshot judged has it judged again first
//! ([`Shard::refresh`]); the sweep after an install only comes by for those who do nothing. So nothing is judged by the
//! old snapshot once the new one is installed, and installing takes no time.
//!
//! **Invariant**: every path by which a message reaches or leaves a client asks here: `may_publish`, `may_read`,
//! `may_subscribe`.

use std::sync::Arc;

use crate::mqtt::ReasonCode;
use crate::policy::certificates::Trusted;
use crate::policy::rules::{Action, ClientRules, FilterVerdict, Rules, Verdict};
use crate::policy::{CertificateRefusal, Ground, Presented, Principal, ProvedUser};
use crate::session::{ConnId, Outgoing};

use super::Shard;
use super::connection::Phase;
use super::effect::CloseCause;
use super::hits::HitPlace;
use super::rejected::Act;

/// Clients that the sweep judges in a turn.
const SWEPT: usize = 256;

/// As so many clients counts one whose certificate's chain is verified again, which takes about a hundred microseconds.
const VERIFIED: usize = 64;

/// What a client may do.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Who it is; `None`: nobody knows.
    pub(super) principal: Option<Arc<Principal>>,
    /// The rules that concern it; `None`: rules do not apply.
    rules: Option<ClientRules>,
    /// Who has found its certificate trusted.
    trusted: Option<Trusted>,
    /// Which install it was judged after; 0: none.
    epoch: u32,
}

impl Standing {
    /// Of a client that connects: not judged yet.
    pub(super) fn of(principal: Option<Arc<Principal>>, trusted: Option<Trusted>) -> Standing {
        Standing { principal, rules: None, trusted, epoch: 0 }
    }

    /// Whether the snapshot of this install has judged it.
    #[inline]
    pub(super) fn is_current(&self, epoch: u32) -> bool {
        self.epoch == epoch
    }

    /// Whether messages must be judged one by one where they are not known to be readable.
    pub(super) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether the client may read this topic.
    pub(super) fn may_read(&self, rules: Option<&Rules>, topic: &str) -> bool {
        match (&self.rules, rules) {
            (Some(own), Some(rules)) => rules.judge(own, Action::Subscribe, topic).allowed,
            _ => true,
        }
    }

    /// What rules say of a publish to this topic; `None`: they do not apply.
    fn judge_publish(&self, rules: Option<&Rules>, topic: &str) -> Option<Verdict> {
        let (own, rules) = self.rules.as_ref().zip(rules)?;
        Some(rules.judge(own, Action::Publish, topic))
    }
}

/// The broker's own topics are not for clients to publish to.
fn is_system(topic: &str) -> bool {
    topic.starts_with("$SYS/") || topic == "$SYS"
}

/// A subscription that is allowed: are its messages to be judged one by one?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All that the filter matches may be read.
    All,
    /// An earlier rule overlaps: each message is judged by its own topic.
    Judged,
}

impl Reading {
    /// `None`: the subscription is not allowed. Where rules do not apply, all is.
    fn of(verdict: Option<FilterVerdict>) -> Option<Reading> {
        match verdict {
            Some(FilterVerdict { allowed: false, .. }) => None,
            Some(FilterVerdict { judged_at_delivery: true, .. }) => Some(Reading::Judged),
            None | Some(_) => Some(Reading::All),
        }
    }
}

impl Shard {
    /// Whether a client may publish to a topic. Its standing is current.
    pub(super) fn may_publish(&self, client: u32, topic: &str) -> bool {
        self.judge_publish(client, topic).0
    }

    /// The same, and where it was counted.
    pub(super) fn judge_publish(&self, client: u32, topic: &str) -> (bool, HitPlace) {
        self.count_publish(&self.clients[client].standing, topic)
    }

    fn count_publish(&self, standing: &Standing, topic: &str) -> (bool, HitPlace) {
        if is_system(topic) {
            return (false, HitPlace::default());
        }
        match standing.judge_publish(self.rules.as_ref(), topic) {
            Some(verdict) => (verdict.allowed, self.hits.count(verdict.rule)),
            None => (true, HitPlace::default()),
        }
    }

    /// Whether a client may read a topic: asked for each message where its subscription does not say so already.
    pub(super) fn may_read(&self, client: u32, topic: &str) -> bool {
        self.clients[client].standing.may_read(self.rules.as_ref(), topic)
    }

    /// Whether a client that asks for it may subscribe with a filter; `None`: it may not.
    pub(super) fn may_subscribe(&self, client: u32, filter: &str) -> Option<Reading> {
        let verdict = self.judge_filter(client, filter);
        if let Some(verdict) = &verdict {
            self.hits.count(verdict.rule);
        }
        Reading::of(verdict)
    }

    /// What rules say of a filter; `None`: they do not apply.
    fn judge_filter(&self, client: u32, filter: &str) -> Option<FilterVerdict> {
        let (own, rules) = self.clients[client].standing.rules.as_ref().zip(self.rules.as_ref())?;
        Some(rules.judge_filter(own, filter))
    }

    /// Whether a client that is connecting as `principal` may publish its will; its standing is not judged yet.
    pub(super) fn may_leave_will(&self, principal: &Principal, topic: &str) -> bool {
        let own = self.rules.as_ref().map(|rules| rules.client(principal.client_name(self.snapshot.names)));
        self.count_publish(&Standing { rules: own, ..Standing::default() }, topic).0
    }

    /// What speaks against an act that a client was refused as not authorised.
    pub(super) fn ground(&self, client: u32, act: Act<'_>) -> Ground {
        let standing = &self.clients[client].standing;
        match act {
            Act::Publish(topic, _) | Act::Will(topic) => {
                self.ground_of_publish(standing.rules.as_ref(), topic)
            }
            Act::Subscribe(filter) => {
                let judged = standing.rules.as_ref().zip(self.rules.as_ref());
                let decided = judged.and_then(|(own, rules)| rules.judge_filter(own, filter).rule);
                Ground::Rules { decided }
            }
        }
    }

    /// The same for the will of a client that is connecting.
    pub(super) fn ground_of_will(&self, principal: &Principal, topic: &str) -> Ground {
        let own = self.rules.as_ref().map(|rules| rules.client(principal.client_name(self.snapshot.names)));
        self.ground_of_publish(own.as_ref(), topic)
    }

    fn ground_of_publish(&self, own: Option<&ClientRules>, topic: &str) -> Ground {
        if is_system(topic) {
            return Ground::System;
        }
        let judged = own.zip(self.rules.as_ref());
        Ground::Rules {
            decided: judged.and_then(|(own, rules)| rules.judge(own, Action::Publish, topic).rule),
        }
    }

    /// Whether a connection's certificate, or that it has none, is what its listener asks for.
    pub(super) fn judge_certificate(
        &self,
        listener: u16,
        tls: bool,
        certificate: Option<&Presented>,
        earlier: Option<Trusted>,
    ) -> Result<Option<Trusted>, CertificateRefusal> {
        // Who came to one that is closed hears of that.
        let asked = self.snapshot.listeners.get(listener).unwrap_or_default();
        // A plain connection that was there before its listener was encrypted.
        if asked.tls && !tls {
            return Err(CertificateRefusal::NotEncrypted);
        }
        self.snapshot.certificates.judge_again(certificate, asked.certificate, self.unix_secs(), earlier)
    }

    /// Before a client's standing is used: has it judged by the snapshot that is installed. It may be disconnected and
    /// even gone afterwards; false, then.
    #[inline]
    pub(super) fn refresh(&mut self, client: u32) -> bool {
        self.clients[client].standing.is_current(self.epoch) || self.judge_again(client)
    }

    #[cold]
    fn judge_again(&mut self, client: u32) -> bool {
        let key = self.clients.key(client);
        let judged = self.still_accept(client);
        let c = &self.clients[client];
        let name = c.standing.principal.as_ref().map_or("", |p| p.client_name(self.snapshot.names));
        let own = self.rules.as_ref().map(|rules| rules.client(name));
        // Before it may be put out: its will is judged by them.
        let standing = &mut self.clients[client].standing;
        (standing.epoch, standing.rules) = (self.epoch, own);
        match judged {
            Ok(trusted) => self.clients[client].standing.trusted = trusted,
            Err((ground, why)) => {
                let closed = ground == Ground::Listener;
                if !closed {
                    self.clients[client].will = None;
                }
                if let Some(conn) = self.clients[client].conn {
                    self.counters.expelled += 1;
                    self.aftermath.put_out(&self.clients[client].client_id, &why);
                    self.reject_client(client, ground, why);
                    let cause = if closed { CloseCause::Expelled } else { CloseCause::NotAccepted };
                    self.disconnect(conn, ReasonCode::AdministrativeAction, cause);
                    if self.clients.by_key(key).is_none() {
                        return false;
                    }
                }
            }
        }
        self.judge_subscriptions(client);
        self.clients[client].conn.is_some()
    }

    /// What it costs to judge a client again, in clients that are cheap.
    pub(super) fn effort(&self, client: u32) -> usize {
        let standing = &self.clients[client].standing;
        let by = self.snapshot.certificates.trust.fingerprint();
        let presented = standing.principal.as_ref().is_some_and(|p| p.certificate.is_some());
        if presented && standing.trusted.is_none_or(|t| t.by != by) { VERIFIED } else { 1 }
    }

    /// Whether an install takes its will from a connected client, and has not come by yet. Of who is put out because a
    /// listener closes the will is published: nothing speaks against the client.
    pub(super) fn forfeits_will(&self, client: u32) -> bool {
        !self.clients[client].standing.is_current(self.epoch)
            && self.still_accept(client).is_err_and(|(ground, _)| ground != Ground::Listener)
    }

    /// Whether a client whose CONNECT was accepted would be accepted still, and who trusts it; else why not.
    fn still_accept(&self, client: u32) -> Result<Option<Trusted>, (Ground, String)> {
        let c = &self.clients[client];
        let principal = c.standing.principal.as_deref();
        let certificate = principal.and_then(|p| p.certificate.as_deref());
        let earlier = c.standing.trusted;
        let connection = c.conn.map(|conn| &self.connections[conn.index as usize]);
        let judged = match connection {
            Some(came) => self.judge_certificate(came.listener, came.tls, certificate, earlier),
            // Nobody is connected: only what was presented counts, for the will.
            None => {
                let optional = crate::policy::Requirement::Optional;
                self.snapshot.certificates.judge_again(certificate, optional, self.unix_secs(), earlier)
            }
        };
        let because = |refusal: CertificateRefusal| {
            let why = refusal.to_string();
            (Ground::Certificate(refusal), why)
        };
        let trusted = judged.map_err(because)?;
        let proved = principal.and_then(|p| p.user.as_ref());
        // Of who is not connected only what was proved counts.
        if (c.conn.is_some() || proved.is_some()) && !self.snapshot.credentials.still_accept(proved) {
            let why = "the user is gone or has another password, or credentials are required now";
            return Err((Ground::Credentials, why.to_owned()));
        }
        let anonymous = Principal::default();
        if let Some(refusal) = self.refuse_name(principal.unwrap_or(&anonymous), &c.client_id) {
            return Err((refusal.ground, refusal.why.to_owned()));
        }
        // Last, because what speaks against the client itself costs it its will.
        if connection.is_some_and(|came| self.snapshot.listeners.get(came.listener).is_none()) {
            return Err((Ground::Listener, "the listener that it came to is closed".to_owned()));
        }
        Ok(trusted)
    }

    /// Takes from a client the subscriptions that it may no longer have, and marks those whose messages are judged.
    fn judge_subscriptions(&mut self, client: u32) {
        let mut at = 0;
        while let Some(sub) = self.clients[client].subscriptions.get(at) {
            let (slot, position) = (sub.slot, sub.position as usize);
            let Some(reading) = Reading::of(self.judge_filter(client, self.slots.filter(slot))) else {
                self.counters.subscriptions_withdrawn += 1;
                self.aftermath.withdraw(&self.clients[client].client_id, self.slots.filter(slot));
                self.withdraw(client, at);
                continue;
            };
            let sub = &mut self.clients[client].subscriptions[at];
            sub.flags.set_judged(reading == Reading::Judged);
            self.slots[slot].subscribers[position].flags = sub.flags;
            at += 1;
        }
    }

    /// Ends a client's subscription: the one at `at` in its list.
    pub(super) fn withdraw(&mut self, client: u32, at: usize) {
        let sub = self.clients[client].subscriptions.remove(at);
        self.close_replays(client, sub.slot);
        // Before its slot can be let go.
        if sub.flags.shared() {
            self.take_back(client, |outgoing: &mut Outgoing| outgoing.take_waiting_of(sub.slot));
        }
        self.leave(&sub);
    }

    /// After an install: judges the next few clients, connected or not. True: there are more.
    pub(super) fn sweep(&mut self) -> bool {
        let mut budget = SWEPT;
        while let Some(client) = self.swept.filter(|_| budget > 0) {
            if client as usize >= self.clients.places() {
                self.swept = None;
                break;
            }
            self.swept = Some(client + 1);
            let c = &self.clients[client];
            if c.client_id.is_empty() || c.standing.is_current(self.epoch) {
                continue;
            }
            budget = budget.saturating_sub(self.effort(client));
            self.refresh(client);
        }
        self.swept.is_some()
    }

    /// Before a member of a shared subscription is chosen: all members' standings.
    pub(super) fn refresh_members(&mut self, slot: crate::routing::Slot) {
        if self.slots[slot].epoch == self.epoch {
            return;
        }
        let mut at = 0;
        while let Some(s) = self.slots[slot].subscribers.get(at).copied() {
            // Whoever moves here meanwhile is looked at too, and nobody is judged twice.
            if self.clients[s.client].standing.is_current(self.epoch) {
                at += 1;
            } else {
                self.refresh(s.client);
            }
        }
        self.slots[slot].epoch = self.epoch;
    }

    /// What a connection has proved so far.
    pub(super) fn principal(&self, conn: ConnId, user: Option<ProvedUser>) -> Principal {
        let connection = &self.connections[conn.index as usize];
        debug_assert!(connection.phase == Phase::Connecting, "it is asked before CONNECT is accepted");
        Principal { certificate: connection.certificate.clone(), user }
    }
}

//! What is put out to clients, packet by packet, at the moment when a shard puts it out: is it what the generation
//! that the shard holds allows?

use tidemq::policy::rules::Action;
use tidemq::shard::{CloseCause, Effect};

use super::World;
use super::decree::{Identity, Proof};
use super::line::{Phase, Span, covers};
use crate::history::Fault;
use crate::wire::{self, Heard, HeardPublish};

/// Lines of the trace shown with a failure.
const TRACE: usize = 40;

type Judged = Result<(), Fault>;

impl World {
    fn fault<T>(&self, rule: &'static str, line: usize, text: String) -> Result<T, Fault> {
        let l = &self.lines[line];
        let person = &self.people[l.who];
        let held = self.homes[l.home].held;
        let decree = &self.decrees[held];
        let who = format!("{} {:?} line {line} {:?} home {}", person.id, l.proof, l.phase, l.home);
        let of =
            |(stamp, who, text): &(u64, usize, String)| (*who == l.who).then(|| format!("{stamp} {text}\n"));
        let trace: Vec<String> = self.trace.iter().rev().filter_map(of).take(TRACE).collect();
        let trace: String = trace.into_iter().rev().collect();
        Err(Fault::general(rule, format!("{text}; {who} holds generation {held}: {decree:?}\n{trace}")))
    }

    /// Looks at all that a shard has done since the last look.
    pub(super) fn look(&mut self, home: usize) -> Judged {
        self.stamp += 1;
        let effects: Vec<Effect> = std::iter::from_fn(|| self.homes[home].shard.poll_effect()).collect();
        let mut all = Vec::new();
        for line in self.homes[home].open.clone() {
            let heard = self.put_out(line)?;
            // What one call did for several connections of one client was done in this order.
            let connack = heard.iter().any(|packet| matches!(packet, Heard::ConnAck(_)));
            let disconnect = heard.iter().any(|packet| matches!(packet, Heard::Disconnect(_)));
            let conn = self.lines[line].conn;
            let gave_way = effects.contains(&Effect::Close { conn, cause: CloseCause::TakenOver });
            all.extend((!heard.is_empty()).then_some(((connack, !disconnect && !gave_way), line, heard)));
        }
        all.sort_by_key(|(order, ..)| *order);
        // The will of whom a call has put out may be delivered in the same call.
        for effect in &effects {
            if let Effect::Close { conn, cause } = effect {
                self.leave_will(conn.index as usize, is_goodbye(*cause));
            }
        }
        for (_, line, heard) in all {
            for packet in heard {
                self.note(self.lines[line].who, format!("line {line} is put out {packet:?}"));
                self.judge(line, packet)?;
            }
        }
        for effect in effects {
            match effect {
                Effect::Pause(conn) => self.lines[conn.index as usize].paused = true,
                Effect::Resume(conn) => self.lines[conn.index as usize].paused = false,
                Effect::Close { conn, cause } => {
                    let line = conn.index as usize;
                    self.note(self.lines[line].who, format!("line {line} is closed: {cause:?}"));
                    self.check_cause(line, cause)?;
                    self.ended(line, is_goodbye(cause));
                    self.lines[line].phase = Phase::Closing;
                    self.homes[home].closing.push(line);
                }
            }
        }
        Ok(())
    }

    /// The packets for a connection that were not looked at yet.
    fn put_out(&mut self, line: usize) -> Result<Vec<Heard>, Fault> {
        let l = &mut self.lines[line];
        let out = self.homes[l.home].shard.output(l.conn);
        let mut fresh = out[l.seen..].to_vec();
        l.seen = out.len();
        let version = self.people[l.who].version;
        let mut all = Vec::new();
        while !fresh.is_empty() {
            let before = fresh.len();
            let heard = match wire::hear(version, &mut fresh, 1 << 28) {
                Ok(Some(heard)) => heard,
                other => return self.fault("whole packets are put out", line, format!("{other:?}")),
            };
            let l = &mut self.lines[line];
            l.put_out += before - fresh.len();
            l.told.push_back((l.put_out, heard.clone()));
            all.push(heard);
        }
        Ok(all)
    }

    fn check_cause(&mut self, line: usize, cause: CloseCause) -> Judged {
        let l = &self.lines[line];
        let decree = &self.decrees[self.homes[l.home].held];
        let (open, borne) = (decree.is_open(l.listener), decree.bears(l.proof, l.listener));
        match cause {
            CloseCause::NotAccepted if borne => self.fault("put out although accepted", line, String::new()),
            CloseCause::Expelled if borne && !open => {
                self.proved.closed_out += 1;
                Ok(())
            }
            CloseCause::NotAccepted
            | CloseCause::TakenOver
            | CloseCause::Refused(_)
            | CloseCause::Disconnected
            | CloseCause::DisconnectedWithWill => Ok(()),
            other => self.fault("closed for nothing", line, format!("{other:?}")),
        }
    }

    /// A connection has ended at its shard.
    pub(super) fn ended(&mut self, line: usize, goodbye: bool) {
        let l = &self.lines[line];
        if l.phase != Phase::Up {
            return;
        }
        let (held, who, wish) = (self.homes[l.home].held, l.who, l.wish);
        self.leave_will(line, goodbye);
        let l = &self.lines[line];
        // What it has sent and was not read yet may be read last of all.
        let late = |(_, span): &&(Vec<String>, Span)| span.1.is_none();
        let late: Vec<String> =
            l.asked.values().filter(late).flat_map(|(filters, _)| filters.clone()).collect();
        let (decree, proof) = (self.decrees[held].clone(), l.proof);
        let person = &mut self.people[who];
        for filter in late.iter().filter(|filter| decree.may_subscribe(proof, filter)) {
            person.subscribe(filter, false);
        }
        if person.current == Some(line) {
            person.current = None;
            if !wish.durable {
                person.subscriptions.clear();
                person.session = false;
            }
        }
    }

    /// What has ended leaves a will, unless it said good-bye or something speaks against the client.
    fn leave_will(&mut self, line: usize, goodbye: bool) {
        let l = &self.lines[line];
        let held = self.homes[l.home].held;
        let leaves = l.phase == Phase::Up && !goodbye && self.decrees[held].bears(l.proof, l.listener);
        if let Some((will, delayed)) = l.wish.will.filter(|_| leaves) {
            self.posts[will].span = Some((held, (!delayed).then_some(held)));
            self.posts[will].handed = self.stamp;
        }
    }

    fn generations(&self, line: usize, (from, to): Span) -> std::ops::RangeInclusive<usize> {
        from..=to.unwrap_or(self.homes[self.lines[line].home].held)
    }

    /// Whether a message may have been allowed, and whether it may have been refused.
    pub(super) fn verdicts(&self, post: usize) -> (bool, bool) {
        let post = &self.posts[post];
        let Some(span) = post.span else { return (false, false) };
        let proof = self.lines[post.by].proof;
        let may = |g: usize| self.decrees[g].may(proof, Action::Publish, post.topic);
        let mut all = self.generations(post.by, span);
        (all.clone().any(may), all.any(|g| !may(g)))
    }

    /// A packet was put out.
    fn judge(&mut self, line: usize, heard: Heard) -> Judged {
        let l = &self.lines[line];
        let decree = &self.decrees[self.homes[l.home].held];
        if let Heard::ConnAck(ack) = heard {
            return self.judge_connack(line, ack.code, ack.session_present);
        }
        if let Heard::Disconnect(code) = heard {
            return match code {
                0x98 if !decree.accepts(l.proof, l.listener) => Ok(()),
                0x8E => Ok(()),
                _ => self.fault("DISCONNECT for nothing", line, format!("{code:#04x}")),
            };
        }
        if !decree.accepts(l.proof, l.listener) {
            return self.fault("something for who is not accepted any more", line, format!("{heard:?}"));
        }
        match heard {
            Heard::Publish(publish) => self.judge_publish(line, &publish),
            Heard::PubAck(id, code) | Heard::PubRec(id, code) => {
                let Some(post) = self.lines[line].unacked.remove(&id) else { return Ok(()) };
                let (allowed, refused) = self.verdicts(post);
                self.proved.publishes_refused += usize::from(code == 0x87);
                let v5 = self.people[self.lines[line].who].version == tidemq::mqtt::Version::V5;
                match code {
                    0x87 if !refused => {
                        self.fault("a publish that is allowed is refused", line, format!("{post}"))
                    }
                    0x00 | 0x10 if v5 && !allowed => {
                        self.fault("a publish that is refused is accepted", line, format!("{post}"))
                    }
                    0x00 | 0x10 | 0x87 => Ok(()),
                    _ => self.fault("a publish is refused for nothing", line, format!("{post} {code:#04x}")),
                }
            }
            Heard::SubAck(id, codes) => self.judge_suback(line, id, &codes),
            Heard::UnsubAck(id, _) => {
                let l = &mut self.lines[line];
                if let Some(filter) = l.leaving.remove(&id) {
                    self.people[l.who].end(&filter, self.stamp);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn judge_connack(&mut self, line: usize, code: u8, session_present: bool) -> Judged {
        let l = &self.lines[line];
        let (wish, who) = (l.wish, l.who);
        let decree = self.decrees[self.homes[l.home].held].clone();
        let identity = l.proof.identity;
        let user = matches!(identity, Identity::User(_)) && decree.asks_users();
        let proof = Proof { identity, password: user.then_some(wish.password) };
        let person = &self.people[who];
        let foreign =
            person.session && person.proof.owner().is_some_and(|owner| proof.owner() != Some(owner));
        let will =
            wish.will.is_none_or(|(will, _)| decree.may(proof, Action::Publish, self.posts[will].topic));
        let welcome = decree.is_open(l.listener) && decree.welcomes(identity, wish.password) && will;
        self.proved.sessions_kept += usize::from(welcome && foreign);
        // The session's connection may just have been put out, and the session have ended with it.
        let stays = |old: usize| decree.accepts(self.lines[old].proof, self.lines[old].listener);
        let gone = person.current.is_some_and(|old| !stays(old));
        let expected = welcome && !foreign;
        if expected != (code == 0) && !(welcome && foreign && gone) {
            return self.fault(
                "CONNECT as it is judged",
                line,
                format!("{code:#04x} {wish:?}, session of {person:?}"),
            );
        }
        if code != 0 {
            self.proved.connects_refused += 1;
            return Ok(());
        }
        let l = &mut self.lines[line];
        (l.phase, l.proof) = (Phase::Up, proof);
        let person = &mut self.people[who];
        if person.proof != proof {
            // Whether the session was judged in between, as another's, is open.
            person.revive();
        }
        (person.current, person.session, person.proof) = (Some(line), true, proof);
        // 3.1 does not say whether there is a session; it is not spoken here.
        if wish.clean || !session_present {
            person.subscriptions.clear();
        }
        person.withdraw(&decree, self.stamp);
        Ok(())
    }

    fn judge_suback(&mut self, line: usize, id: u16, codes: &[u8]) -> Judged {
        let Some((filters, span)) = self.lines[line].asked.remove(&id) else {
            return self.fault("SUBACK for nothing", line, format!("{id}"));
        };
        for (filter, code) in filters.iter().zip(codes) {
            let l = &self.lines[line];
            let may = |g: usize| self.decrees[g].may_subscribe(l.proof, filter);
            let allowed = self.generations(line, span).any(may);
            let always = self.generations(line, span).all(may);
            let refused = self.generations(line, span).any(|g| !may(g));
            let now = may(self.homes[l.home].held);
            let granted = *code < 0x80;
            if granted && !allowed || !granted && !refused {
                return self.fault(
                    "SUBSCRIBE as it is judged",
                    line,
                    format!("{filter} {code:#04x} {span:?}"),
                );
            }
            self.proved.subscribes_refused += usize::from(!granted);
            let (stamp, open, who) = (self.stamp, span.1.is_none(), l.who);
            match (granted, open && now) {
                (false, _) if open => self.people[who].end(filter, stamp),
                (true, true) => self.people[who].subscribe(filter, always),
                // It was there until a generation came that does not allow it: what was sent meanwhile may come again.
                (true, false) if open => {
                    self.people[who].subscribe(filter, false);
                    self.people[who].end(filter, stamp);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn judge_publish(&mut self, line: usize, publish: &HeardPublish) -> Judged {
        let text = String::from_utf8_lossy(&publish.payload.0).into_owned();
        let Ok(no) = text.parse::<usize>() else {
            return self.fault("a message that somebody sent", line, text);
        };
        if !self.verdicts(no).0 {
            let Some((from, to)) = self.posts[no].span else {
                return self.fault(
                    "a will or message that nobody may have sent",
                    line,
                    format!("{no} {publish:?}"),
                );
            };
            return self.fault("a message that was refused", line, format!("{no} {from} {to:?} {publish:?}"));
        }
        let l = &self.lines[line];
        let decree = &self.decrees[self.homes[l.home].held];
        if !decree.may(l.proof, Action::Subscribe, &publish.topic) {
            return self.fault("a message that may not be read", line, format!("{no} {publish:?}"));
        }
        // One that was read late may be there already, by whichever generation.
        let late = l.asked.values().filter(|(_, span)| span.1.is_none()).any(|(filters, span)| {
            let may = |filter: &String| {
                self.generations(line, *span).any(|g| self.decrees[g].may_subscribe(l.proof, filter))
            };
            filters.iter().any(|filter| covers(filter, &publish.topic) && may(filter))
        });
        if !late && !self.people[l.who].has_subscribed(&publish.topic, self.posts[no].handed) {
            let (sent, all) = (self.posts[no].handed, &self.people[l.who].subscriptions);
            let text = format!("{no}, sent at {sent}, now {}, {publish:?} {all:?}", self.stamp);
            return self.fault("a message without a subscription", line, text);
        }
        self.proved.deliveries += 1;
        self.delivered.insert((l.who, no));
        Ok(())
    }
}

/// Whether a connection that ends so leaves no will.
fn is_goodbye(cause: CloseCause) -> bool {
    matches!(cause, CloseCause::Disconnected | CloseCause::NotAccepted)
}

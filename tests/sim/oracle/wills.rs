//! When a will is published, and when it must not be `[MQTT-3.1.2-8, 3.1.3-9, 3.14.4-3]`.

use tidemq::time::Time;

use super::sessions::{LATE_MICROS, Online, Presence};
use super::{Oracle, Send};
use crate::history::{ClientNo, ConnectSent, Ending, Fault, MessageNo, Moment, SocketNo};

pub(super) struct Will {
    client: ClientNo,
    socket: SocketNo,
    pub message: MessageNo,
    delay_secs: u32,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its connection lives.
    Armed,
    /// To be published then.
    Due(Time),
    /// May be published from then on, or never.
    Perhaps(Time),
    Published,
    /// Never to be published.
    Cancelled,
}

impl Oracle {
    pub(super) fn arm_will(&mut self, client: ClientNo, socket: SocketNo, connect: ConnectSent) {
        if let Some(sent) = connect.will {
            self.wills.push(Will {
                client,
                socket,
                message: sent.message,
                delay_secs: sent.delay_secs,
                state: State::Armed,
            });
        }
    }

    fn will_of(&mut self, client: ClientNo, socket: SocketNo) -> Option<&mut Will> {
        self.wills.iter_mut().find(|w| w.client == client && w.socket == socket && w.state == State::Armed)
    }

    pub(super) fn will_at_end(&mut self, at: Moment, client: ClientNo, online: &Online, ending: Ending) {
        let expiry = online.connect.expiry_secs;
        let Some(will) = self.will_of(client, online.socket) else { return };
        let changed = online.disconnect.and_then(|d| d.expiry_secs).unwrap_or(expiry);
        let after = |secs: u32| at.now.after_secs(u64::from(will.delay_secs.min(secs)));
        let due = if after(expiry) == after(changed) || ending == Ending::Disconnected {
            State::Due(after(changed))
        } else {
            State::Perhaps(after(expiry).min(after(changed)))
        };
        will.state = match (ending, online.disconnect) {
            (Ending::Stopping, _) => State::Cancelled,
            (Ending::Disconnected, Some(d)) if !d.with_will => State::Cancelled,
            // DISCONNECT was given, but the end came otherwise: it may not have been read.
            (_, Some(d)) if !d.with_will => State::Perhaps(at.now),
            _ => due,
        };
        self.publish_due_wills(at);
    }

    /// Another connection has the client: the old one's will is published unless its session goes on.
    pub(super) fn will_of_taken_over(&mut self, at: Moment, client: ClientNo, online: &Online, clean: bool) {
        let expiry = online.connect.expiry_secs;
        let Some(will) = self.will_of(client, online.socket) else { return };
        let over = clean || will.delay_secs == 0 || expiry == 0;
        will.state = match (online.disconnect, over) {
            (Some(_), _) => State::Perhaps(at.now),
            (None, true) => State::Due(at.now),
            (None, false) => State::Cancelled,
        };
        self.publish_due_wills(at);
    }

    /// A delayed will when the client is back.
    pub(super) fn wills_at_connect(&mut self, at: Moment, client: ClientNo, presence: Presence) {
        for will in self.wills.iter_mut().filter(|w| w.client == client) {
            will.state = match (will.state, presence) {
                (State::Due(_), Presence::No) => State::Due(at.now),
                (State::Due(_), Presence::Yes) => State::Cancelled,
                (State::Due(_), Presence::Maybe) | (State::Perhaps(_), Presence::No | Presence::Maybe) => {
                    State::Perhaps(at.now)
                }
                (other, _) => other,
            };
        }
        self.publish_due_wills(at);
    }

    pub(super) fn publish_due_wills(&mut self, at: Moment) {
        for index in 0..self.wills.len() {
            let will = &mut self.wills[index];
            let message = will.message;
            match will.state {
                State::Due(due) if due <= at.now => {
                    will.state = State::Published;
                    self.posts[message.0].sends.push(Send { at, socket: None });
                    self.owe(at, message);
                }
                State::Perhaps(due) if due <= at.now && self.posts[message.0].sends.is_empty() => {
                    self.posts[message.0].sends.push(Send { at, socket: None });
                }
                _ => {}
            }
        }
    }

    /// A will arrived: was it time?
    pub(super) fn check_will(&self, at: Moment, reader: ClientNo, message: MessageNo) -> Result<(), Fault> {
        let fault = |text: String| Err(Fault::of("a will when it is not due [MQTT-3.1.2-8]", reader, text));
        let Some(will) = self.wills.iter().find(|w| w.message == message) else {
            return fault(format!("{message:?} belongs to a CONNECT that the broker has not read"));
        };
        match will.state {
            State::Published => Ok(()),
            State::Perhaps(due) if due <= at.now => Ok(()),
            other => fault(format!("{message:?} of {:?} is {other:?} at {:?}", will.client, at.now)),
        }
    }

    /// Was it certainly published by now?
    pub(super) fn will_is_out(&self, at: Moment, message: MessageNo) -> bool {
        let published = self.wills.iter().any(|w| w.message == message && w.state == State::Published);
        let sent = self.posts[message.0].sends.first();
        published && sent.is_some_and(|s| s.at.now.0 + LATE_MICROS < at.now.0)
    }
}

//! Which session exists, and what CONNACK must say of it `[MQTT-3.1.2-4, 3.1.2-5, 3.2.2-2, 3.2.2-3]`.

use tidemq::time::Time;

use super::{Oracle, SocketView};
use crate::history::{ClientNo, ConnectSent, DisconnectSent, Ending, Fault, Moment, SocketNo};

/// A timer may fire this much late, never early.
pub(super) const LATE_MICROS: u64 = 1_500_000;

/// Session present, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Yes,
    No,
    Maybe,
}

/// A session at its home.
#[derive(Clone, Copy, Default)]
pub(super) enum Session {
    #[default]
    None,
    Online(Online),
    Offline(Offline),
}

#[derive(Clone, Copy)]
pub(super) struct Online {
    pub socket: SocketNo,
    pub connect: ConnectSent,
    pub disconnect: Option<DisconnectSent>,
    pub last_packet: Time,
    /// The last one before that at another time: a turn fires its timers before it reads.
    packet_before: Time,
    /// The last end of a pause: while it is paused its keep alive does not run.
    resumed: Time,
}

#[derive(Clone, Copy)]
pub(super) struct Offline {
    since: Time,
    expiry_secs: u32,
    /// False when it is open which expiry holds.
    sure: bool,
}

impl Online {
    /// The expiry after its end, and whether that is sure.
    fn expiry(&self, orderly: bool) -> (u32, bool) {
        let asked = self.disconnect.and_then(|d| d.expiry_secs).unwrap_or(self.connect.expiry_secs);
        // DISCONNECT was given to the shard, but the connection ended otherwise: it may not have been read.
        let sure = orderly || asked == self.connect.expiry_secs;
        (asked, sure)
    }
}

impl Offline {
    fn presence(&self, now: Time) -> Presence {
        if !self.sure {
            return Presence::Maybe;
        }
        if self.expiry_secs == u32::MAX {
            return Presence::Yes;
        }
        let ends = self.since.after_secs(u64::from(self.expiry_secs));
        if now < ends {
            Presence::Yes
        } else if now.0 < ends.0 + LATE_MICROS {
            Presence::Maybe
        } else {
            Presence::No
        }
    }
}

impl Session {
    /// Does it exist beyond doubt?
    pub(super) fn is_certain(&self, now: Time) -> bool {
        match self {
            Session::None => false,
            Session::Online(_) => true,
            Session::Offline(offline) => offline.presence(now) == Presence::Yes,
        }
    }
}

impl Oracle {
    pub(super) fn connect_handed(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        connect: ConnectSent,
    ) {
        let mut presence = match self.clients[client.0].session {
            Session::None => Presence::No,
            Session::Offline(offline) => offline.presence(at.now),
            Session::Online(online) => {
                let (expiry, sure) = online.expiry(online.disconnect.is_some());
                self.will_of_taken_over(at, client, &online, connect.clean);
                match (expiry, sure && online.disconnect.is_none()) {
                    (0, _) if online.connect.expiry_secs == 0 => Presence::No,
                    (_, false) if expiry == 0 || online.connect.expiry_secs == 0 => Presence::Maybe,
                    _ => Presence::Yes,
                }
            }
        };
        if connect.clean {
            presence = Presence::No;
        }
        self.wills_at_connect(at, client, presence);
        match presence {
            Presence::No => self.end_session(client),
            Presence::Maybe => {
                let view = &mut self.clients[client.0];
                view.unsure = true;
                view.owed_since = at.stamp;
            }
            Presence::Yes => {}
        }
        let view = &mut self.clients[client.0];
        view.sockets
            .insert(socket, SocketView { epoch: view.epoch, presence, connected: at.now, handed: at.stamp });
        view.offline_since = None;
        view.session = Session::Online(Online {
            socket,
            connect,
            disconnect: None,
            last_packet: at.now,
            packet_before: at.now,
            resumed: at.now,
        });
        self.arm_will(client, socket, connect);
    }

    fn end_session(&mut self, client: ClientNo) {
        let view = &mut self.clients[client.0];
        view.epoch += 1;
        view.unsure = false;
    }

    /// The connection that the session uses, if this is it.
    fn online(&mut self, client: ClientNo, socket: SocketNo) -> Option<&mut Online> {
        match &mut self.clients[client.0].session {
            Session::Online(online) if online.socket == socket => Some(online),
            _ => None,
        }
    }

    pub(super) fn packet_handed(&mut self, at: Moment, client: ClientNo, socket: SocketNo) {
        if let Some(online) = self.online(client, socket) {
            if at.now > online.last_packet {
                online.packet_before = online.last_packet;
            }
            online.last_packet = at.now;
        }
    }

    pub(super) fn resumed(&mut self, at: Moment, client: ClientNo, socket: SocketNo) {
        if let Some(online) = self.online(client, socket) {
            online.resumed = at.now;
        }
    }

    pub(super) fn disconnect_handed(
        &mut self,
        client: ClientNo,
        socket: SocketNo,
        disconnect: DisconnectSent,
    ) {
        if let Some(online) = self.online(client, socket) {
            online.disconnect = online.disconnect.or(Some(disconnect));
        }
    }

    pub(super) fn ended(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        ending: Ending,
    ) -> Result<(), Fault> {
        let Some(online) = self.online(client, socket).copied() else {
            // A connection that lost its session to another, or never came to CONNECT.
            return Ok(());
        };
        self.check_ending(at, client, &online, ending)?;
        self.will_at_end(at, client, &online, ending);
        let (expiry_secs, sure) = online.expiry(ending == Ending::Disconnected);
        let view = &mut self.clients[client.0];
        view.offline_since = Some(at.stamp);
        if expiry_secs == 0 && sure {
            view.session = Session::None;
            self.end_session(client);
        } else {
            if !sure {
                view.unsure = true;
                view.owed_since = at.stamp;
            }
            view.session = Session::Offline(Offline { since: at.now, expiry_secs, sure });
        }
        Ok(())
    }

    /// A client that keeps the rules is closed for a reason only.
    fn check_ending(
        &self,
        at: Moment,
        client: ClientNo,
        online: &Online,
        ending: Ending,
    ) -> Result<(), Fault> {
        let fault = |rule| Err(Fault::of(rule, client, format!("{:?}: {ending:?}", online.socket)));
        match ending {
            Ending::Disconnected if online.disconnect.is_none() => {
                fault("closed as after DISCONNECT, without one")
            }
            Ending::TakenOver => fault("taken over by nobody"),
            Ending::KeepAlive => {
                let last =
                    if online.last_packet < at.now { online.last_packet } else { online.packet_before };
                let silent = at.now.since(last).as_micros() as u64;
                let allowed = u64::from(online.connect.keep_alive_secs) * 1_500_000;
                if online.connect.keep_alive_secs == 0 || silent < allowed {
                    return fault("closed by keep alive too early [MQTT-3.1.2-22]");
                }
                Ok(())
            }
            Ending::Stopping if !self.stopped => fault("stopped although nobody said so"),
            Ending::Violation => fault("blamed although it keeps the rules"),
            _ => Ok(()),
        }
    }

    /// True when this client's connection should have been closed for silence by now.
    pub(super) fn is_overdue(&self, at: Moment, client: ClientNo) -> bool {
        let Session::Online(online) = &self.clients[client.0].session else { return false };
        let keep_alive = u64::from(online.connect.keep_alive_secs);
        keep_alive != 0
            && at.now.0 > online.last_packet.max(online.resumed).0 + keep_alive * 1_500_000 + LATE_MICROS
    }

    pub(super) fn connack(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        session_present: bool,
    ) -> Result<(), Fault> {
        let view = &mut self.clients[client.0];
        let Some(presence) = view.sockets.get(&socket).map(|s| s.presence) else {
            return Err(Fault::of("CONNACK before CONNECT", client, format!("{socket:?}")));
        };
        view.up = Some(socket);
        let wrong = match presence {
            Presence::Yes => !session_present,
            Presence::No => session_present,
            Presence::Maybe => false,
        };
        if wrong {
            let text = format!("{socket:?}: session present is {session_present}, expected {presence:?}");
            return Err(Fault::of("session present [MQTT-3.2.2-2, 3.2.2-3]", client, text));
        }
        let latest = matches!(&view.session, Session::Online(online) if online.socket == socket);
        if presence == Presence::Maybe && latest {
            view.unsure = false;
            view.owed_since = at.stamp;
            if !session_present {
                self.end_session(client);
                let view = &mut self.clients[client.0];
                let epoch = view.epoch;
                view.sockets.entry(socket).and_modify(|s| s.epoch = epoch);
            }
        }
        Ok(())
    }
}

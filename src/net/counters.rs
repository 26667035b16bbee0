//! What a shard's sockets count.

use rustls::{Error, ProtocolVersion};

use super::tls::{Heard, Tls};
use super::ws::Refused;
use crate::shard::CloseCause;

/// Why connections left, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of CloseCause")]
pub struct Closed {
    /// The peer closed without a word of ours.
    pub by_peer: u64,
    /// The socket failed.
    pub failed: u64,
    /// The peer closed before its CONNECT was all there.
    pub before_connect: u64,
    /// No CONNECT in time.
    pub connect_timeout: u64,
    /// The peer broke the rules of TLS, after its handshake.
    pub tls: u64,
    /// The peer broke the rules of WebSocket.
    pub framing: u64,
    pub disconnected: u64,
    pub violation: u64,
    pub taken_over: u64,
    pub refused: u64,
    pub stalled: u64,
    pub expelled: u64,
    /// An Apply no longer accepts what the client is.
    pub not_accepted: u64,
    pub stopping: u64,
}

impl Closed {
    pub(super) fn count(&mut self, cause: CloseCause) {
        *match cause {
            CloseCause::Disconnected | CloseCause::DisconnectedWithWill => &mut self.disconnected,
            CloseCause::Violation(_) => &mut self.violation,
            CloseCause::TakenOver => &mut self.taken_over,
            CloseCause::Refused(_) => &mut self.refused,
            CloseCause::Stalled => &mut self.stalled,
            CloseCause::Expelled => &mut self.expelled,
            CloseCause::NotAccepted => &mut self.not_accepted,
            CloseCause::Stopping => &mut self.stopping,
        } += 1;
    }
}

/// WebSocket handshakes that failed, each counted once, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// No handshake, or a broken one.
    pub malformed: u64,
    /// Its headers were too long.
    pub too_large: u64,
    /// Not the listener's path.
    pub path: u64,
    /// Another version of WebSocket, or none.
    pub version: u64,
    /// None of MQTT's sub-protocols.
    pub sub_protocol: u64,
    /// It was begun, and not complete in time or before the peer left.
    pub incomplete: u64,
}

impl Handshakes {
    pub(super) fn count(&mut self, refused: Refused) {
        *match refused {
            Refused::Malformed => &mut self.malformed,
            Refused::TooLarge => &mut self.too_large,
            Refused::Path => &mut self.path,
            Refused::Version => &mut self.version,
            Refused::SubProtocol => &mut self.sub_protocol,
        } += 1;
    }

    /// All of them: each is a connection request that was rejected.
    pub fn sum(&self) -> u64 {
        let Handshakes { malformed, too_large, path, version, sub_protocol, incomplete } = self;
        malformed + too_large + path + version + sub_protocol + incomplete
    }
}

/// TLS handshakes. Each that failed is a connection request that was refused, and counted once, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsHandshakes {
    /// Complete, by TLS 1.2.
    pub tls12: u64,
    /// Complete, by TLS 1.3.
    pub tls13: u64,
    /// Those of them that took up an earlier session.
    pub resumed: u64,
    /// Failed: the client certificate was refused, or none was there.
    pub certificate: u64,
    /// Failed: what the peer said first was not TLS.
    pub not_tls: u64,
    /// Failed: no version, cipher suite or protocol in common.
    pub incompatible: u64,
    /// Failed: the peer gave up, as when it does not trust the broker's certificate.
    pub by_peer: u64,
    /// Failed: the peer broke the rules.
    pub broken: u64,
    /// Begun, and not complete in time or before the peer left.
    pub incomplete: u64,
}

impl TlsHandshakes {
    pub(super) fn count(&mut self, tls: &Tls) {
        match tls.version() {
            Some(ProtocolVersion::TLSv1_2) => self.tls12 += 1,
            _ => self.tls13 += 1,
        }
        self.resumed += u64::from(tls.is_resumed());
    }

    pub(super) fn count_failed(&mut self, error: &Error, heard: Heard) {
        *match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => &mut self.certificate,
            Error::InvalidMessage(_) if heard == Heard::Nothing => &mut self.not_tls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => &mut self.incompatible,
            Error::AlertReceived(_) => &mut self.by_peer,
            _ => &mut self.broken,
        } += 1;
    }

    /// All that failed.
    pub fn failed(&self) -> u64 {
        let TlsHandshakes { certificate, not_tls, incompatible, by_peer, broken, incomplete, .. } = self;
        certificate + not_tls + incompatible + by_peer + broken + incomplete
    }
}

/// Counted since the start of the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because every seat was taken.
    pub over_limit: u64,
    /// Accepts that failed (no descriptors, no memory).
    pub accept_failures: u64,
    /// Connections handed to their client's home on another shard.
    pub handed_over: u64,
    /// Connections taken from the shard that accepted them.
    pub adopted: u64,
    /// TLS handshakes.
    pub tls: TlsHandshakes,
    /// WebSocket handshakes that failed.
    pub handshakes: Handshakes,
    /// Why connections left.
    pub closed: Closed,
    /// Closed connections that were cut because their peer did not close in time, or too many were waiting for that.
    pub linger_cuts: u64,
    /// Times the ring was entered: submits and sleeps.
    pub enters: u64,
    /// Receives that ended with bytes.
    pub receives: u64,
    /// Bytes that arrived.
    pub bytes_received: u64,
    /// Sends.
    pub sends: u64,
    /// Bytes that sockets took.
    pub bytes_sent: u64,
    /// Sends that found the socket full.
    pub blocked: u64,
    /// Receives that ended because the pool of buffers was empty.
    pub no_buffers: u64,
    /// Connections the shard stopped reading.
    pub pauses: u64,
}

impl Counters {
    /// Connection requests that were refused before they came to the owner.
    pub fn refused(&self) -> u64 {
        self.tls.failed() + self.handshakes.sum()
    }
}

//! A client of a live broker: TLS by rustls, blocking, then MQTT, in WebSocket frames or not. Just enough to connect.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConfig, ClientConnection};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, Error, HandshakeKind, StreamOwned};

/// Catches what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How MQTT is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Bare,
    Framed,
}

/// The version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mqtt {
    V3,
    V5,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A CONNACK with this code.
    ConnAck(u8),
    /// A PINGRESP.
    Pong,
    /// A DISCONNECT with this reason.
    Disconnect(u8),
    /// The handshake was refused.
    Alert(AlertDescription),
    /// The connection ended in order.
    Closed,
}

pub(crate) struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    carried: Carried,
    /// Of MQTT, not taken yet.
    got: Vec<u8>,
}

fn alert(error: io::Error) -> Heard {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) => Heard::Alert(*alert),
        _ => panic!("the connection broke: {error}"),
    }
}

impl Wire {
    /// Makes the handshakes. In TLS 1.3 a client has made its own before the server looks at the certificate: then the
    /// alert comes later.
    pub(crate) fn dial(
        address: SocketAddr,
        carried: Carried,
        config: &Arc<ClientConfig>,
    ) -> Result<Wire, Heard> {
        let socket = TcpStream::connect(address).expect("connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("option");
        socket.set_nodelay(true).expect("option");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let stream = StreamOwned::new(connection, socket);
        let mut wire = Wire { stream, carried, got: Vec::new() };
        while wire.stream.conn.is_handshaking() {
            wire.stream.conn.complete_io(&mut wire.stream.sock).map_err(alert)?;
        }
        if carried == Carried::Framed {
            wire.upgrade().map_err(alert)?;
        }
        Ok(wire)
    }

    pub(crate) fn kind(&self) -> Option<HandshakeKind> {
        self.stream.conn.handshake_kind()
    }

    fn upgrade(&mut self) -> io::Result<()> {
        self.stream.write_all(
            b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Protocol: mqtt\r\n\r\n",
        )?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    /// Sends CONNECT and says what came of it.
    pub(crate) fn connect(&mut self, version: Mqtt, client_id: &str) -> Heard {
        let mut body = b"\0\x04MQTT".to_vec();
        match version {
            Mqtt::V3 => body.extend([4, 2, 0, 60]),
            Mqtt::V5 => body.extend([5, 2, 0, 60, 0]),
        }
        body.extend([0, client_id.len() as u8]);
        body.extend(client_id.as_bytes());
        let mut packet = vec![0x10, body.len() as u8];
        packet.extend(body);
        match self.write(&packet) {
            Ok(()) => self.hear(),
            Err(error) => alert(error),
        }
    }

    /// Sends a packet.
    pub(crate) fn send(&mut self, packet: &[u8]) {
        self.write(packet).expect("sent");
    }

    fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        assert!(packet.len() < 126, "one byte says its length, in a frame too");
        if self.carried == Carried::Framed {
            self.stream.write_all(&[0x82, 0x80 | packet.len() as u8, 0, 0, 0, 0])?;
        }
        self.stream.write_all(packet)
    }

    /// What comes next.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            if let [kind, length, ..] = self.got[..]
                && self.got.len() >= 2 + usize::from(length)
            {
                assert!(length < 0x80, "one byte says its length");
                let body: Vec<u8> = self.got.drain(..2 + usize::from(length)).skip(2).collect();
                match kind >> 4 {
                    2 => return Heard::ConnAck(body[1]),
                    13 => return Heard::Pong,
                    14 => return Heard::Disconnect(body.first().copied().unwrap_or_default()),
                    other => panic!("a packet of type {other}"),
                }
            }
            match self.more() {
                Ok(0) => return Heard::Closed,
                Ok(_) => {}
                Err(error) => return alert(error),
            }
        }
    }

    /// Reads some more of MQTT.
    fn more(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 1024];
        if self.carried == Carried::Bare {
            let count = self.stream.read(&mut bytes)?;
            self.got.extend(&bytes[..count]);
            return Ok(count);
        }
        let mut header = [0; 2];
        if self.stream.read(&mut header[..1])? == 0 {
            return Ok(0);
        }
        self.stream.read_exact(&mut header[1..])?;
        assert!(header[1] < 126, "a small frame");
        let payload = &mut bytes[..usize::from(header[1])];
        self.stream.read_exact(payload)?;
        match header[0] {
            0x82 => self.got.extend(&*payload),
            0x88 => return Ok(0),
            other => panic!("a frame {other:#x}"),
        }
        Ok(payload.len())
    }
}

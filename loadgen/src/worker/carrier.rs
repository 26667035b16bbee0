//! What carries a link's bytes of MQTT: the TCP connection itself, or a WebSocket, TLS, or a WebSocket in TLS on it.

use crate::client::Ended;
use crate::tls::{End, Tls};
use crate::websocket::WebSocket;

/// How much may wait sealed before a link goes on sealing, in bytes.
const ENOUGH: usize = 64 << 10;

/// The layers between MQTT and the socket.
#[derive(Default)]
pub struct Carrier {
    /// The outer one.
    pub tls: Option<Box<Tls>>,
    /// The inner one.
    pub websocket: Option<Box<WebSocket>>,
}

/// Which of its handshakes are done; those that it does not need are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// That of TLS.
    pub secure: bool,
    /// All of them: MQTT can flow.
    pub open: bool,
}

impl Carrier {
    /// MQTT goes straight to the socket.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none() && self.websocket.is_none()
    }

    /// How far its handshakes are.
    pub fn reached(&self) -> Reached {
        let secure = self.tls.as_ref().is_none_or(|tls| tls.is_open());
        Reached {
            secure,
            open: secure && self.websocket.as_ref().is_none_or(|websocket| websocket.is_open()),
        }
    }

    /// TLS is wanted, and its handshake was not done on this connection.
    pub fn lacks_handshake(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.was_open())
    }

    /// The socket is connected: the outermost handshake begins.
    pub fn begin(&mut self) -> Result<(), Ended> {
        match (&mut self.tls, &mut self.websocket) {
            (Some(tls), _) => tls.begin()?,
            (None, Some(websocket)) => websocket.begin(),
            (None, None) => {}
        }
        Ok(())
    }

    /// There is no connection any more.
    pub fn down(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.down();
        }
    }

    /// What is sealed next is the last.
    pub fn close(&mut self) {
        if let Some(websocket) = &mut self.websocket {
            websocket.close();
        }
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
    }

    /// How TLS came to its end, if it has.
    pub fn end(&self) -> Option<&End> {
        self.tls.as_ref().and_then(|tls| tls.end())
    }

    /// What waits for the socket; `out` is what waits of MQTT.
    pub fn wire<'a>(&'a mut self, out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        match (&mut self.tls, &mut self.websocket) {
            (Some(tls), _) => tls.wire(),
            (None, Some(websocket)) => websocket.wire(),
            (None, None) => out,
        }
    }

    /// There is something that can be sent now.
    pub fn has_output(&mut self, out: &mut Vec<u8>) -> bool {
        let open = self.reached().open;
        let between = match (&mut self.tls, &mut self.websocket) {
            (Some(tls), Some(websocket)) => tls.is_open() && !websocket.wire().is_empty(),
            _ => false,
        };
        open && !out.is_empty() || between || !self.wire(out).is_empty()
    }

    /// Seals what is to be sent, as far as the handshakes are done. What a full socket has not taken stays sealed; the
    /// rest waits where publishers look at its length.
    pub fn seal(&mut self, out: &mut Vec<u8>) {
        if self.is_plain() || self.wire(out).len() >= ENOUGH {
            return;
        }
        match (&mut self.tls, &mut self.websocket) {
            (Some(tls), None) => tls.seal(out),
            (tls, Some(websocket)) => {
                websocket.seal(out);
                if let Some(tls) = tls {
                    tls.seal(websocket.wire());
                }
            }
            (None, None) => {}
        }
    }

    /// Takes bytes from the socket; gives `take` those of MQTT. `place` is for plaintext.
    #[inline]
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        place: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Ended>,
    ) -> Result<(), Ended> {
        let Carrier { tls, websocket } = self;
        let Some(tls) = tls else {
            return match websocket {
                None => take(bytes),
                Some(websocket) => websocket.handle_bytes(bytes, take),
            };
        };
        let was_open = tls.is_open();
        let result = tls.handle_bytes(bytes, place, |plain| match websocket {
            None => take(plain),
            Some(websocket) => websocket.handle_bytes(plain, &mut take),
        });
        if let Some(websocket) = websocket
            && tls.is_open()
            && !was_open
        {
            websocket.begin();
        }
        result
    }
}

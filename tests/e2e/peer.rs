//! rumqttc's two clients behind one face. A thread turns what each receives into [`Event`]s; [`Peer::next`] waits
//! for them and gives up only where a test hangs.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rumqttc::v5;
use rumqttc::v5::mqttbytes::v5 as packets5;

/// Only a hang takes so long.
const HANG: Duration = Duration::from_secs(30);

const QUEUED: usize = 4_096;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) payload: Vec<u8>,
}

/// What a client receives, acknowledgements of pings and half hand-shakes left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Connected {
        session_present: bool,
    },
    Subscribed,
    /// A hand-shake of QoS 1 or 2 is complete.
    Published,
    Message(Message),
    /// The connection is over, for this reason.
    Ended(String),
}

/// What a client asks of its session.
#[derive(Clone, Copy)]
pub(crate) enum Session<'t> {
    Clean,
    Durable,
    /// Clean, with a will at this topic that says `gone` at QoS 1.
    WithWill(&'t str),
}

/// What can be asked of either client.
trait Commands: Send {
    fn subscribe(&self, filter: &str, qos: u8);
    fn publish(&self, topic: &str, qos: u8, retain: bool, payload: &[u8]);
    fn disconnect(&self);
}

pub(crate) struct Peer {
    commands: Box<dyn Commands>,
    feed: Feed,
}

/// What the thread of a client passes on. Messages come apart from the rest: one may come before the SUBACK of its
/// subscription.
struct Feed {
    events: Receiver<Event>,
    messages: Receiver<Message>,
    cut: Sender<()>,
}

impl Peer {
    /// The next event that is not a message.
    pub(crate) fn next(&self) -> Event {
        self.feed.events.recv_timeout(HANG).expect("an event comes")
    }

    /// The next message.
    pub(crate) fn message(&self) -> Message {
        self.feed.messages.recv_timeout(HANG).unwrap_or_else(|_| panic!("no message, but {:?}", self.next()))
    }

    /// Subscribes and waits for the SUBACK.
    pub(crate) fn subscribe(&self, filter: &str, qos: u8) {
        self.commands.subscribe(filter, qos);
        assert_eq!(self.next(), Event::Subscribed);
    }

    /// Publishes and waits until the hand-shake of its QoS is complete.
    pub(crate) fn publish(&self, topic: &str, qos: u8, retain: bool, payload: &[u8]) {
        self.send(topic, qos, retain, payload);
        if qos > 0 {
            assert_eq!(self.next(), Event::Published);
        }
    }

    /// Publishes without waiting.
    pub(crate) fn send(&self, topic: &str, qos: u8, retain: bool, payload: &[u8]) {
        self.commands.publish(topic, qos, retain, payload);
    }

    /// Ends the connection in order.
    pub(crate) fn disconnect(self) {
        self.commands.disconnect();
        while !matches!(self.next(), Event::Ended(_)) {}
    }

    /// Ends the connection without DISCONNECT.
    pub(crate) fn cut(self) {
        self.feed.cut.send(()).expect("its thread runs");
        // Something has to wake that thread.
        self.commands.publish("rumqttc/wake", 0, false, b"");
        while self.feed.events.recv_timeout(HANG).is_ok() {}
    }
}

pub(crate) trait Version {
    fn name(&self) -> &'static str;
    fn connect(&self, address: SocketAddr, id: &str, session: Session<'_>) -> Peer;
}

pub(crate) struct V4;
pub(crate) struct V5;

/// Passes on what comes until the connection ends or is to be cut.
fn pump(mut poll: impl FnMut() -> Option<Event> + Send + 'static) -> Feed {
    let (event_sender, events) = channel();
    let (message_sender, messages) = channel();
    let (cut, cutting) = channel();
    thread::spawn(move || {
        while cutting.try_recv().is_err() {
            let Some(event) = poll() else { continue };
            let ended = matches!(event, Event::Ended(_));
            let passed = match event {
                Event::Message(message) => message_sender.send(message).is_ok(),
                event => event_sender.send(event).is_ok(),
            };
            if ended || !passed {
                return;
            }
        }
    });
    Feed { events, messages, cut }
}

fn ended(reason: &impl std::fmt::Debug) -> Option<Event> {
    Some(Event::Ended(format!("{reason:?}")))
}

impl Version for V4 {
    fn name(&self) -> &'static str {
        "3.1.1"
    }

    fn connect(&self, address: SocketAddr, id: &str, session: Session<'_>) -> Peer {
        let mut options = rumqttc::MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_clean_session(!matches!(session, Session::Durable));
        if let Session::WithWill(topic) = session {
            options.set_last_will(rumqttc::LastWill::new(topic, "gone", rumqttc::QoS::AtLeastOnce, false));
        }
        let (client, mut connection) = rumqttc::Client::new(options, QUEUED);
        let feed = pump(move || match connection.recv() {
            Ok(Ok(event)) => event4(event),
            Ok(Err(error)) => ended(&error),
            Err(error) => ended(&error),
        });
        Peer { commands: Box::new(client), feed }
    }
}

fn event4(event: rumqttc::Event) -> Option<Event> {
    use rumqttc::Packet;
    let rumqttc::Event::Incoming(packet) = event else { return None };
    match packet {
        Packet::ConnAck(connack) => Some(Event::Connected { session_present: connack.session_present }),
        Packet::SubAck(_) => Some(Event::Subscribed),
        Packet::PubAck(_) | Packet::PubComp(_) => Some(Event::Published),
        Packet::Publish(publish) => Some(Event::Message(Message {
            topic: publish.topic,
            qos: publish.qos as u8,
            retain: publish.retain,
            payload: publish.payload.to_vec(),
        })),
        _ => None,
    }
}

impl Commands for rumqttc::Client {
    fn subscribe(&self, filter: &str, qos: u8) {
        let qos = rumqttc::qos(qos).expect("0, 1 or 2");
        rumqttc::Client::subscribe(self, filter, qos).expect("it is queued");
    }

    fn publish(&self, topic: &str, qos: u8, retain: bool, payload: &[u8]) {
        let qos = rumqttc::qos(qos).expect("0, 1 or 2");
        rumqttc::Client::publish(self, topic, qos, retain, payload).expect("it is queued");
    }

    fn disconnect(&self) {
        rumqttc::Client::disconnect(self).expect("it is queued");
    }
}

impl Version for V5 {
    fn name(&self) -> &'static str {
        "5.0"
    }

    fn connect(&self, address: SocketAddr, id: &str, session: Session<'_>) -> Peer {
        let mut options = v5::MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_clean_start(!matches!(session, Session::Durable));
        match session {
            Session::Clean => {}
            Session::Durable => {
                options.set_session_expiry_interval(Some(3_600));
            }
            Session::WithWill(topic) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                options.set_last_will(packets5::LastWill::new(topic, "gone", qos, false, None));
            }
        }
        let (client, mut connection) = v5::Client::new(options, QUEUED);
        let feed = pump(move || match connection.recv() {
            Ok(Ok(event)) => event5(event),
            Ok(Err(error)) => ended(&error),
            Err(error) => ended(&error),
        });
        Peer { commands: Box::new(client), feed }
    }
}

fn event5(event: v5::Event) -> Option<Event> {
    use packets5::Packet;
    let v5::Event::Incoming(packet) = event else { return None };
    match packet {
        Packet::ConnAck(connack) => Some(Event::Connected { session_present: connack.session_present }),
        Packet::SubAck(_) => Some(Event::Subscribed),
        Packet::PubAck(_) | Packet::PubComp(_) => Some(Event::Published),
        Packet::Publish(publish) => Some(Event::Message(Message {
            topic: String::from_utf8(publish.topic.to_vec()).expect("a topic is text"),
            qos: publish.qos as u8,
            retain: publish.retain,
            payload: publish.payload.to_vec(),
        })),
        _ => None,
    }
}

impl Commands for v5::Client {
    fn subscribe(&self, filter: &str, qos: u8) {
        let qos = v5::mqttbytes::qos(qos).expect("0, 1 or 2");
        v5::Client::subscribe(self, filter, qos).expect("it is queued");
    }

    fn publish(&self, topic: &str, qos: u8, retain: bool, payload: &[u8]) {
        let qos = v5::mqttbytes::qos(qos).expect("0, 1 or 2");
        v5::Client::publish(self, topic, qos, retain, payload.to_vec()).expect("it is queued");
    }

    fn disconnect(&self) {
        v5::Client::disconnect(self).expect("it is queued");
    }
}

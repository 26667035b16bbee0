//! rumqttc's client of MQTT 3.1.1 for the matrix. It knows nothing of 5.0.

use std::sync::mpsc::Sender;

use rumqttc::{
    Client, ConnectReturnCode, Event, LastWill, MqttOptions, Outgoing, Packet, SubscribeReasonCode, Transport,
};

use crate::words::{Line, Said};
use crate::{Commands, Connected, PACKET_BYTES, QUEUED, Report, ended};

pub(crate) fn connect(line: &Line) -> Connected {
    let url = line.text("url");
    let address = url.strip_prefix("tcp://");
    let (host, port) = address.unwrap_or("0:0").rsplit_once(':').expect("HOST:PORT");
    // Over WebSocket the library takes the whole URL for the host.
    let host = if address.is_some() { host } else { url };
    let mut options = MqttOptions::new(line.text("id"), host, port.parse().expect("a port"));
    if address.is_none() {
        options.set_transport(Transport::Ws);
    }
    options.set_clean_session(line.flag("clean"));
    options.set_max_packet_size(PACKET_BYTES as usize, PACKET_BYTES as usize);
    if !line.text("will-topic").is_empty() {
        options.set_last_will(LastWill::new(
            line.text("will-topic"),
            line.bytes("will-payload"),
            rumqttc::qos(line.qos("will-qos")).expect("0, 1 or 2"),
            line.flag("will-retain"),
        ));
    }
    let (client, mut connection) = Client::new(options, QUEUED);
    Connected::new(Box::new(client), move |reports| match connection.recv() {
        Ok(Ok(event)) => report(event, reports),
        Ok(Err(error)) => ended(&error, reports),
        Err(error) => ended(&error, reports),
    })
}

/// Whether the connection goes on.
fn report(event: Event, reports: &Sender<Report>) -> bool {
    let answer = match event {
        Event::Incoming(Packet::ConnAck(connack)) if connack.code == ConnectReturnCode::Success => {
            Said::new("connected").number("session-present", connack.session_present)
        }
        Event::Incoming(Packet::SubAck(suback)) => {
            let code = match suback.return_codes[0] {
                SubscribeReasonCode::Success(qos) => qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            };
            Said::new("subscribed").number("reason", code)
        }
        Event::Incoming(Packet::UnsubAck(_)) => Said::new("unsubscribed"),
        Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) | Event::Outgoing(Outgoing::Publish(0)) => {
            Said::new("published")
        }
        Event::Incoming(Packet::Publish(publish)) => {
            Said::new("message")
                .text("topic", &publish.topic)
                .bytes("payload", &publish.payload)
                .number("qos", publish.qos as u8)
                .number("retain", publish.retain)
                .aloud();
            return true;
        }
        _ => return true,
    };
    reports.send(Report::Answer(answer)).is_ok()
}

impl Commands for Client {
    fn subscribe(&self, line: &Line) {
        let qos = rumqttc::qos(line.qos("qos")).expect("0, 1 or 2");
        Client::subscribe(self, line.text("filter"), qos).expect("it is queued");
    }

    fn unsubscribe(&self, line: &Line) {
        Client::unsubscribe(self, line.text("filter")).expect("it is queued");
    }

    fn publish(&self, line: &Line) {
        let qos = rumqttc::qos(line.qos("qos")).expect("0, 1 or 2");
        Client::publish(self, line.text("topic"), qos, line.flag("retain"), line.bytes("payload"))
            .expect("it is queued");
    }

    fn disconnect(&self) {
        Client::disconnect(self).expect("it is queued");
    }
}

//! rumqttc's client of MQTT 5.0 for the matrix. It knows nothing of 3.1.1.

use std::collections::HashMap;
use std::sync::mpsc::Sender;

use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, LastWill, Packet, Publish, PublishProperties, SubscribeProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{self, QoS};
use rumqttc::v5::{Client, Event, MqttOptions};
use rumqttc::{Outgoing, Transport};

use crate::words::{Line, Said};
use crate::{Commands, Connected, PACKET_BYTES, QUEUED, Report, ended};

fn qos(line: &Line, key: &str) -> QoS {
    mqttbytes::qos(line.qos(key)).expect("0, 1 or 2")
}

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
    options.set_clean_start(line.flag("clean"));
    options.set_max_packet_size(Some(PACKET_BYTES));
    options.set_session_expiry_interval(line.number("expiry"));
    let aliases = line.number("alias-maximum").map(|most| most.try_into().expect("two bytes"));
    options.set_topic_alias_max(aliases);
    if !line.text("will-topic").is_empty() {
        options.set_last_will(LastWill::new(
            line.text("will-topic"),
            line.bytes("will-payload"),
            qos(line, "will-qos"),
            line.flag("will-retain"),
            None,
        ));
    }
    let (client, mut connection) = Client::new(options, QUEUED);
    let mut aliases = Aliases::new();
    Connected::new(Box::new(client), move |reports| match connection.recv() {
        Ok(Ok(event)) => report(event, &mut aliases, reports),
        Ok(Err(error)) => ended(&error, reports),
        Err(error) => ended(&error, reports),
    })
}

/// The topics behind the broker's aliases. The library keeps such a table too, but hands a message over before it has
/// filled its topic in.
type Aliases = HashMap<u16, String>;

/// Whether the connection goes on.
fn report(event: Event, aliases: &mut Aliases, reports: &Sender<Report>) -> bool {
    let answer = match event {
        Event::Incoming(Packet::ConnAck(connack)) if connack.code == ConnectReturnCode::Success => {
            let said = Said::new("connected").number("session-present", connack.session_present);
            match connack.properties.and_then(|properties| properties.assigned_client_identifier) {
                Some(assigned) => said.text("assigned", &assigned),
                None => said,
            }
        }
        Event::Incoming(Packet::SubAck(suback)) => {
            Said::new("subscribed").number("reason", code(suback.return_codes[0]))
        }
        Event::Incoming(Packet::UnsubAck(_)) => Said::new("unsubscribed"),
        Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) | Event::Outgoing(Outgoing::Publish(0)) => {
            Said::new("published")
        }
        Event::Incoming(Packet::Publish(publish)) => {
            message(&publish, aliases);
            return true;
        }
        _ => return true,
    };
    reports.send(Report::Answer(answer)).is_ok()
}

/// The number that the library has made a name of.
fn code(reason: SubscribeReasonCode) -> u8 {
    match reason {
        SubscribeReasonCode::Success(qos) => qos as u8,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => 0x80,
        SubscribeReasonCode::ImplementationSpecific => 0x83,
        SubscribeReasonCode::NotAuthorized => 0x87,
        SubscribeReasonCode::TopicFilterInvalid => 0x8F,
        SubscribeReasonCode::PkidInUse => 0x91,
        SubscribeReasonCode::QuotaExceeded => 0x97,
        SubscribeReasonCode::SharedSubscriptionsNotSupported => 0x9E,
        SubscribeReasonCode::SubscriptionIdNotSupported => 0xA1,
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => 0xA2,
    }
}

fn message(publish: &Publish, aliases: &mut Aliases) {
    let mut topic = String::from_utf8(publish.topic.to_vec()).expect("a topic is text");
    if let Some(alias) = publish.properties.as_ref().and_then(|properties| properties.topic_alias) {
        if topic.is_empty() {
            topic.clone_from(&aliases[&alias]);
        }
        aliases.insert(alias, topic.clone());
    }
    let mut said = Said::new("message")
        .text("topic", &topic)
        .bytes("payload", &publish.payload)
        .number("qos", publish.qos as u8)
        .number("retain", publish.retain);
    if let Some(properties) = &publish.properties {
        if let Some(seconds) = properties.message_expiry_interval {
            said = said.number("expiry", seconds);
        }
        for identifier in &properties.subscription_identifiers {
            said = said.number("identifier", *identifier as u64);
        }
        for (key, value) in &properties.user_properties {
            said = said.text("user", &format!("{key}:{value}"));
        }
    }
    said.aloud();
}

impl Commands for Client {
    fn subscribe(&self, line: &Line) {
        let properties = SubscribeProperties {
            id: line.number("identifier").map(|identifier| identifier as usize),
            user_properties: Vec::new(),
        };
        self.subscribe_with_properties(line.text("filter"), qos(line, "qos"), properties)
            .expect("it is queued");
    }

    fn unsubscribe(&self, line: &Line) {
        Client::unsubscribe(self, line.text("filter")).expect("it is queued");
    }

    fn publish(&self, line: &Line) {
        let properties = PublishProperties {
            message_expiry_interval: line.number("expiry"),
            topic_alias: line.number("alias").map(|alias| alias.try_into().expect("two bytes")),
            user_properties: line.pairs("user"),
            ..PublishProperties::default()
        };
        let (topic, retain) = (line.text("topic"), line.flag("retain"));
        self.publish_with_properties(topic, qos(line, "qos"), retain, line.bytes("payload"), properties)
            .expect("it is queued");
    }

    fn disconnect(&self) {
        Client::disconnect(self).expect("it is queued");
    }
}

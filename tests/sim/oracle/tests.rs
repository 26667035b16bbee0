//! Histories that are wrong: the oracle must say so, and must not say it of the same history put right.

use tidemq::mqtt::QoS::{self, AtLeastOnce, AtMostOnce, ExactlyOnce};
use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::time::Time;

use super::wire::{AckOrder, Window};
use super::{Oracle, Rules};
use crate::history::{
    ClientNo, ConnectSent, Delivery, DisconnectSent, Ending, Event, Fault, Message, MessageNo, Moment,
    SocketNo, WillSent,
};

/// A history in the making.
struct History {
    oracle: Oracle,
    at: Moment,
    sockets: usize,
    found: Option<Fault>,
}

fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

impl History {
    fn new() -> History {
        let oracle = Oracle::new(Rules { may_drop: false });
        History { oracle, at: Moment { stamp: 0, now: Time::from_secs(1) }, sockets: 0, found: None }
    }

    fn tell(&mut self, event: Event) {
        self.at.stamp += 1;
        let told = self.oracle.observe(self.at, event);
        self.found = self.found.take().or(told.err());
    }

    fn wait(&mut self, secs: u64) {
        self.at.now = self.at.now.after_secs(secs);
    }

    fn client(&mut self) -> ClientNo {
        self.oracle.add_client()
    }

    /// CONNECT and CONNACK.
    fn connect(&mut self, client: ClientNo, clean: bool, present: bool) -> SocketNo {
        self.connect_with(client, clean, present, 60, None)
    }

    fn connect_with(
        &mut self,
        client: ClientNo,
        clean: bool,
        session_present: bool,
        expiry_secs: u32,
        will: Option<WillSent>,
    ) -> SocketNo {
        let socket = SocketNo(self.sockets);
        self.sockets += 1;
        let connect = ConnectSent { clean, expiry_secs, keep_alive_secs: 10, will };
        self.tell(Event::ConnectHanded { client, socket, connect });
        self.tell(Event::ConnAck { client, socket, session_present });
        socket
    }

    fn subscribe(&mut self, client: ClientNo, socket: SocketNo, filter: &str, options: SubscriptionOptions) {
        self.subscribe_as(client, socket, filter, options, None);
    }

    fn subscribe_as(
        &mut self,
        client: ClientNo,
        socket: SocketNo,
        filter: &str,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) {
        let filters = vec![(filter.to_owned(), options)];
        self.tell(Event::SubscribeSent { client, socket, packet_id: 7, id, filters });
        self.tell(Event::SubAck { client, socket, packet_id: 7, codes: vec![options.qos as u8] });
    }

    fn message(&mut self, publisher: ClientNo, qos: QoS, retain: bool) -> MessageNo {
        let topic = "t".to_owned();
        let (is_will, empty, expiry_secs) = (false, false, None);
        self.oracle.add_message(Message { publisher, topic, qos, retain, is_will, empty, expiry_secs })
    }

    fn will(&mut self, publisher: ClientNo, delay_secs: u32) -> WillSent {
        let topic = "t".to_owned();
        let (retain, is_will, empty, expiry_secs) = (false, true, false, None);
        let qos = AtLeastOnce;
        let message =
            self.oracle.add_message(Message { publisher, topic, qos, retain, is_will, empty, expiry_secs });
        WillSent { message, delay_secs }
    }

    /// Published and acknowledged.
    fn publish(&mut self, client: ClientNo, socket: SocketNo, qos: QoS, retain: bool) -> MessageNo {
        let message = self.message(client, qos, retain);
        self.tell(Event::PublishSent { message, socket });
        if qos != AtMostOnce {
            self.tell(Event::Acked { message, code: 0 });
        }
        message
    }

    fn receive(&mut self, client: ClientNo, socket: SocketNo, message: MessageNo, qos: QoS) {
        self.receive_as(client, delivery(socket, message, qos));
    }

    fn receive_as(&mut self, client: ClientNo, delivery: Delivery) {
        self.tell(Event::Received { client, delivery });
    }

    fn idle(&mut self) {
        self.tell(Event::Idle { lagging: Vec::new() });
    }

    fn lose(&mut self, client: ClientNo, socket: SocketNo) {
        self.tell(Event::Left { client, socket });
        self.tell(Event::Ended { client, socket, ending: Ending::Lost });
    }

    #[track_caller]
    fn expect(self, rule: &str) {
        let found = self.found.expect("the oracle finds nothing");
        assert!(found.rule.starts_with(rule), "expected {rule}, found {}: {}", found.rule, found.text);
    }

    #[track_caller]
    fn expect_nothing(self) {
        assert!(self.found.is_none(), "{:?}", self.found);
    }
}

fn delivery(socket: SocketNo, message: MessageNo, qos: QoS) -> Delivery {
    Delivery {
        socket,
        topic: "t".to_owned(),
        message: Some(message),
        qos,
        dup: false,
        retain: false,
        ids: Vec::new(),
        expiry_secs: None,
    }
}

/// A publisher and a subscriber, both connected, the subscriber granted `qos` on `t`.
fn pair(qos: QoS) -> (History, (ClientNo, SocketNo), (ClientNo, SocketNo)) {
    let mut h = History::new();
    let (publisher, subscriber) = (h.client(), h.client());
    let from = h.connect(publisher, true, false);
    let to = h.connect(subscriber, true, false);
    h.subscribe(subscriber, to, "t", options(qos));
    (h, (publisher, from), (subscriber, to))
}

#[test]
fn a_lost_message_is_found() {
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let (mut h, (publisher, from), _) = pair(ExactlyOnce);
        h.publish(publisher, from, qos, false);
        h.idle();
        h.expect("a message is lost");
    }
}

#[test]
fn what_arrives_is_not_lost() {
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let (mut h, (publisher, from), (subscriber, to)) = pair(ExactlyOnce);
        let message = h.publish(publisher, from, qos, false);
        h.receive(subscriber, to, message, qos);
        h.idle();
        h.expect_nothing();
    }
}

#[test]
fn what_an_offline_subscriber_is_owed_must_wait_for_it() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtLeastOnce);
    h.lose(subscriber, to);
    h.publish(publisher, from, AtLeastOnce, false);
    h.idle();
    assert!(h.found.is_none(), "nobody is there to miss it");
    h.connect(subscriber, false, true);
    h.idle();
    h.expect("a message is lost");
}

#[test]
fn a_session_that_ended_is_owed_nothing() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtLeastOnce);
    h.lose(subscriber, to);
    h.publish(publisher, from, AtLeastOnce, false);
    h.connect(subscriber, true, false);
    h.idle();
    h.expect_nothing();
}

#[test]
fn qos_0_is_not_kept_for_an_offline_session() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtMostOnce);
    h.lose(subscriber, to);
    let message = h.publish(publisher, from, AtMostOnce, false);
    h.idle();
    let to = h.connect(subscriber, false, true);
    h.receive(subscriber, to, message, AtMostOnce);
    h.expect("QoS 0 kept");
}

#[test]
fn a_duplicate_is_found() {
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let (mut h, (publisher, from), (subscriber, to)) = pair(ExactlyOnce);
        let message = h.publish(publisher, from, qos, false);
        h.receive(subscriber, to, message, qos);
        h.receive(subscriber, to, message, qos);
        h.expect("a duplicate");
    }
}

#[test]
fn a_repetition_at_qos_1_is_no_duplicate_only_after_a_reconnect() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtLeastOnce);
    let message = h.publish(publisher, from, AtLeastOnce, false);
    h.receive(subscriber, to, message, AtLeastOnce);
    let again = Delivery { dup: true, ..delivery(to, message, AtLeastOnce) };
    h.lose(subscriber, to);
    let to = h.connect(subscriber, false, true);
    h.receive_as(subscriber, Delivery { socket: to, ..again.clone() });
    assert!(h.found.is_none(), "{:?}", h.found);
    h.receive_as(subscriber, Delivery { socket: to, ..again });
    h.expect("repeated on the same connection");
}

#[test]
fn the_order_of_a_publisher_is_kept() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtLeastOnce);
    let first = h.publish(publisher, from, AtLeastOnce, false);
    let second = h.publish(publisher, from, AtLeastOnce, false);
    h.receive(subscriber, to, second, AtLeastOnce);
    h.receive(subscriber, to, first, AtLeastOnce);
    h.expect("order");
}

#[test]
fn nothing_comes_after_unsuback() {
    let (mut h, (publisher, from), (client, socket)) = pair(AtLeastOnce);
    let filters = vec!["t".to_owned()];
    h.tell(Event::UnsubscribeSent { client, socket, packet_id: 9, filters });
    h.tell(Event::UnsubAck { client, socket, packet_id: 9 });
    let message = h.publish(publisher, from, AtLeastOnce, false);
    h.idle();
    assert!(h.found.is_none(), "nothing is owed");
    h.receive(client, socket, message, AtLeastOnce);
    h.expect("no subscription");
}

#[test]
fn no_local_is_kept() {
    let mut h = History::new();
    let client = h.client();
    let socket = h.connect(client, true, false);
    h.subscribe(client, socket, "t", SubscriptionOptions { no_local: true, ..options(AtLeastOnce) });
    let message = h.publish(client, socket, AtLeastOnce, false);
    h.idle();
    assert!(h.found.is_none(), "nothing is owed to the publisher");
    h.receive(client, socket, message, AtLeastOnce);
    h.expect("No Local");
}

#[test]
fn overlapping_subscriptions_give_the_highest_qos_and_all_identifiers() {
    let overlap = |qos, ids: &[u32]| {
        let (mut h, (publisher, from), (subscriber, to)) = pair(AtMostOnce);
        h.subscribe_as(subscriber, to, "+", options(AtLeastOnce), Some(4));
        h.subscribe_as(subscriber, to, "#", options(ExactlyOnce), Some(5));
        let message = h.publish(publisher, from, ExactlyOnce, false);
        h.receive_as(subscriber, Delivery { ids: ids.to_vec(), ..delivery(to, message, qos) });
        h
    };
    overlap(ExactlyOnce, &[5, 4]).expect_nothing();
    overlap(AtLeastOnce, &[5, 4]).expect("QoS of overlapping");
    overlap(ExactlyOnce, &[5]).expect("subscription identifiers");
}

#[test]
fn suback_means_that_a_publish_reaches() {
    let (mut h, (publisher, from), _) = pair(AtLeastOnce);
    let message = h.message(publisher, AtLeastOnce, false);
    h.tell(Event::PublishSent { message, socket: from });
    h.tell(Event::Acked { message, code: 0x10 });
    h.expect("SUBACK means");
}

#[test]
fn the_retain_flag_is_not_set_on_live_messages() {
    let (mut h, (publisher, from), (subscriber, to)) = pair(AtLeastOnce);
    let message = h.publish(publisher, from, AtLeastOnce, false);
    h.receive_as(subscriber, Delivery { retain: true, ..delivery(to, message, AtLeastOnce) });
    h.expect("RETAIN flag");
}

#[test]
fn a_replaced_retained_message_is_not_replayed() {
    let (mut h, (publisher, from), (other, _)) = pair(AtLeastOnce);
    let old = h.publish(publisher, from, AtLeastOnce, true);
    let new = h.publish(publisher, from, AtLeastOnce, true);
    let late = h.client();
    let to = h.connect(late, true, false);
    h.subscribe(late, to, "t", options(AtLeastOnce));
    assert_eq!(h.oracle.retained("t").candidates, [new], "{other:?} does not matter");
    h.receive_as(late, Delivery { retain: true, ..delivery(to, new, AtLeastOnce) });
    assert!(h.found.is_none(), "{:?}", h.found);
    h.receive_as(late, Delivery { retain: true, ..delivery(to, old, AtLeastOnce) });
    h.expect("a retained message that had been replaced");
}

#[test]
fn a_replay_comes_once_a_subscription() {
    let (mut h, (publisher, from), _) = pair(AtLeastOnce);
    let message = h.publish(publisher, from, AtLeastOnce, true);
    let late = h.client();
    let to = h.connect(late, true, false);
    h.subscribe(late, to, "t", options(AtMostOnce));
    let replay = Delivery { retain: true, ..delivery(to, message, AtMostOnce) };
    h.receive_as(late, replay.clone());
    assert!(h.found.is_none(), "{:?}", h.found);
    h.receive_as(late, replay);
    h.receive(late, to, message, AtMostOnce);
    h.expect("a duplicate");
}

#[test]
fn session_present_is_checked() {
    let present = |clean, expiry, wait, said| {
        let mut h = History::new();
        let client = h.client();
        let socket = h.connect_with(client, true, false, expiry, None);
        h.lose(client, socket);
        h.wait(wait);
        h.connect_with(client, clean, said, expiry, None);
        h
    };
    present(false, 60, 0, true).expect_nothing();
    present(false, 60, 0, false).expect("session present");
    present(false, 60, 90, true).expect("session present");
    present(false, 0, 0, true).expect("session present");
    present(true, 60, 0, true).expect("session present");
}

/// A client with a will and a witness who is subscribed to it.
fn will_after(delay: u32) -> (History, ClientNo, SocketNo, MessageNo, (ClientNo, SocketNo)) {
    let (mut h, _, witness) = pair(AtLeastOnce);
    let client = h.client();
    let will = h.will(client, delay);
    let socket = h.connect_with(client, true, false, 60, Some(will));
    (h, client, socket, will.message, witness)
}

#[test]
fn a_will_is_published_when_due_and_not_before() {
    let (mut h, client, socket, message, (witness, to)) = will_after(5);
    h.lose(client, socket);
    h.wait(3);
    h.receive(witness, to, message, AtLeastOnce);
    h.expect("a will when it is not due");

    let (mut h, client, socket, message, (witness, to)) = will_after(5);
    h.lose(client, socket);
    h.wait(6);
    h.receive(witness, to, message, AtLeastOnce);
    h.expect_nothing();
}

#[test]
fn a_will_that_never_comes_is_lost() {
    let (mut h, client, socket, _, (witness, to)) = will_after(5);
    h.lose(client, socket);
    h.wait(6);
    h.tell(Event::PacketHanded { client: witness, socket: to });
    h.wait(3);
    h.idle();
    h.expect("a message is lost");
}

#[test]
fn a_will_is_not_published_after_disconnect_nor_when_the_session_goes_on() {
    let (mut h, client, socket, message, (witness, to)) = will_after(0);
    let disconnect = DisconnectSent { with_will: false, expiry_secs: None };
    h.tell(Event::DisconnectHanded { client, socket, disconnect });
    h.tell(Event::Ended { client, socket, ending: Ending::Disconnected });
    h.receive(witness, to, message, AtLeastOnce);
    h.expect("a will when it is not due");

    let (mut h, client, socket, message, (witness, to)) = will_after(5);
    h.lose(client, socket);
    h.connect(client, false, true);
    h.wait(6);
    h.receive(witness, to, message, AtLeastOnce);
    h.expect("a will when it is not due");
}

#[test]
fn keep_alive_closes_neither_early_nor_never() {
    let (mut h, (client, socket), _) = pair(AtLeastOnce);
    h.wait(14);
    h.tell(Event::Ended { client, socket, ending: Ending::KeepAlive });
    h.expect("closed by keep alive too early");

    let (mut h, (client, socket), _) = pair(AtLeastOnce);
    h.wait(15);
    h.tell(Event::Ended { client, socket, ending: Ending::KeepAlive });
    h.expect_nothing();

    let (mut h, ..) = pair(AtLeastOnce);
    h.wait(17);
    h.idle();
    h.expect("silent for 1.5 keep alives");
}

#[test]
fn nobody_is_blamed_or_taken_over_without_cause() {
    for ending in [Ending::TakenOver, Ending::Violation, Ending::Stopping, Ending::Disconnected] {
        let (mut h, (client, socket), _) = pair(AtLeastOnce);
        h.tell(Event::Ended { client, socket, ending });
        assert!(h.found.is_some(), "{ending:?}");
    }
}

#[test]
fn the_window_and_packet_identifiers_are_kept() {
    let some = Some(MessageNo(1));
    let mut window = Window::new(2, false);
    assert_eq!(window.publish(1, AtLeastOnce, false, some, None), Ok(()));
    assert!(window.publish(1, AtLeastOnce, false, some, None).is_err(), "in use");
    assert!(window.publish(2, AtLeastOnce, true, some, None).is_err(), "a repetition in a new session");
    assert_eq!(window.publish(2, ExactlyOnce, false, some, None), Ok(()));
    assert!(window.publish(3, ExactlyOnce, false, some, None).is_err(), "over the window");
    window.done(1);
    window.done(3);
    assert_eq!(window.publish(4, AtLeastOnce, false, some, None), Ok(()));

    let mut window = Window::new(9, true);
    assert!(window.publish(5, AtLeastOnce, true, some, Some(Some(MessageNo(2)))).is_err(), "another message");
    assert!(window.publish(6, AtLeastOnce, false, some, Some(some)).is_err(), "in use from before");
    assert_eq!(window.publish(7, AtLeastOnce, true, some, Some(some)), Ok(()));
    assert_eq!(window.publish(8, AtLeastOnce, false, some, None), Ok(()));
    assert!(window.publish(9, AtLeastOnce, true, some, None).is_err(), "a repetition after a first delivery");
}

#[test]
fn acknowledgements_come_in_order() {
    let mut order = AckOrder::default();
    order.published(1);
    order.published(2);
    assert!(order.acked(2).is_err());
    let mut order = AckOrder::default();
    order.published(1);
    assert_eq!(order.acked(1), Ok(()));
    assert!(order.is_empty() && order.acked(1).is_err());
}

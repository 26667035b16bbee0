"""paho-mqtt (Python) against the broker, with both versions of the protocol."""

import itertools
import os
import unittest

from paho.mqtt.packettypes import PacketTypes

import broker
from client import V3, V5, Client, properties

BROKER = None
NUMBERS = itertools.count()


def setUpModule():
    global BROKER
    BROKER = broker.start()


def tearDownModule():
    BROKER.stop()


class Common:
    """What holds for both versions."""

    version = None

    def setUp(self):
        # Topics and identifiers of its own for each test, so that one broker serves them all.
        self.base = f"e2e/{self.version}/{os.getpid()}/{next(NUMBERS)}"
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()

    def client(self, name, **options):
        """A client that is not connected yet."""
        made = Client(BROKER, f"{self.base}/{name}", version=self.version, **options)
        self.clients.append(made)
        return made

    def connected(self, name, **options):
        made = self.client(name, **options)
        _flags, reason, _properties = made.connect()
        self.assertFalse(reason.is_failure, reason)
        return made

    def durable(self, name):
        return self.client(name, clean=False, expiry=3600)

    def topic(self, *levels):
        return "/".join([self.base, *levels])

    def test_every_pair_of_qos_delivers_with_the_lower_one(self):
        publisher = self.connected("pub")
        for granted in range(3):
            subscriber = self.connected(f"sub{granted}")
            reasons = subscriber.subscribe(self.topic(str(granted)), qos=granted)
            self.assertEqual([reason.value for reason in reasons], [granted])
            for qos in range(3):
                payload = f"{qos} to {granted}".encode()
                publisher.publish(self.topic(str(granted)), payload, qos=qos)
                message = subscriber.message()
                self.assertEqual((message.payload, message.qos, message.retain), (payload, min(qos, granted), False))

    def test_many_messages_arrive_once_and_in_order_at_every_qos(self):
        count = 500
        publishers = [self.connected(f"pub{number}") for number in range(4)]
        for qos in range(3):
            subscribers = [self.connected(f"sub{qos}{number}") for number in range(4)]
            for subscriber in subscribers:
                subscriber.subscribe(self.topic(str(qos), "#"), qos=qos)
            for sequence in range(count):
                for number, publisher in enumerate(publishers):
                    publisher.queue(self.topic(str(qos), str(number)), f"{sequence}", qos=qos)
            for subscriber in subscribers:
                got = {str(number): [] for number in range(4)}
                for _ in range(count * 4):
                    message = subscriber.message()
                    got[message.topic[-1]].append(int(message.payload))
                for number, sequence in got.items():
                    self.assertEqual(sequence, list(range(count)), f"QoS {qos}, publisher {number}")

    def test_a_large_payload_passes_unchanged(self):
        payload = bytes(range(256)) * 2048
        subscriber = self.connected("sub")
        subscriber.subscribe(self.topic("large"), qos=1)
        self.connected("pub").publish(self.topic("large"), payload, qos=1)
        self.assertEqual(subscriber.message().payload, payload)

    def test_retained_messages_come_to_those_who_subscribe_later_until_cleared(self):
        publisher, early = self.connected("pub"), self.connected("early")
        early.subscribe(self.topic("#"), qos=1)
        publisher.publish(self.topic("r"), b"kept", qos=1, retain=True)
        self.assertFalse(early.message().retain, "a live message is not marked as retained")
        late = self.connected("late")
        late.subscribe(self.topic("+"), qos=1)
        message = late.message()
        self.assertEqual((message.payload, message.retain, message.qos), (b"kept", True, 1))
        publisher.publish(self.topic("r"), b"", qos=1, retain=True)
        latest = self.connected("latest")
        latest.subscribe(self.topic("+"), qos=1)
        publisher.publish(self.topic("r"), b"fence", qos=1)
        self.assertEqual(latest.until(b"fence"), [])

    def test_a_will_is_published_when_the_connection_breaks_and_not_when_it_ends_in_order(self):
        watcher = self.connected("watcher")
        watcher.subscribe(self.topic("will"), qos=1)
        will = {"topic": self.topic("will"), "payload": b"gone", "qos": 1}
        broken = self.connected("a", will=will)
        broken.cut()
        self.assertEqual(watcher.message().payload, b"gone")
        self.connected("b", will=will).disconnect()
        # The same identifier again: its CONNACK comes after the end of the former connection was handled.
        again = self.connected("b")
        again.publish(self.topic("will"), b"fence", qos=1)
        self.assertEqual(watcher.until(b"fence"), [])

    def test_a_session_is_resumed_with_what_was_published_meanwhile_in_order(self):
        subscriber = self.durable("durable")
        flags, _, _ = subscriber.connect()
        self.assertFalse(flags.session_present)
        subscriber.subscribe(self.topic("q", "+"), qos=2)
        subscriber.disconnect()
        publisher = self.connected("pub")
        expected = {1: [], 2: []}
        for number in range(40):
            qos = 1 + number % 2
            expected[qos].append(f"{number}".encode())
            publisher.publish(self.topic("q", str(qos)), f"{number}", qos=qos)
        resumed = self.durable("durable")
        flags, _, _ = resumed.connect()
        self.assertTrue(flags.session_present)
        got = {1: [], 2: []}
        for _ in range(40):
            message = resumed.message()
            got[message.qos].append(message.payload)
        self.assertEqual(got, expected)

    def test_a_clean_connection_ends_the_session(self):
        durable = self.durable("id")
        durable.connect()
        durable.subscribe(self.topic("gone"), qos=1)
        durable.disconnect()
        clean = self.client("id")
        flags, _, _ = clean.connect()
        self.assertFalse(flags.session_present)
        clean.subscribe(self.topic("fence"), qos=1)
        publisher = self.connected("pub")
        publisher.publish(self.topic("gone"), b"lost", qos=1)
        publisher.publish(self.topic("fence"), b"fence", qos=1)
        self.assertEqual(clean.until(b"fence"), [])

    def test_the_same_identifier_takes_the_session_over(self):
        first = self.durable("same")
        first.connect()
        first.subscribe(self.topic("t"), qos=1)
        second = self.durable("same")
        flags, _, _ = second.connect()
        self.assertTrue(flags.session_present)
        reason = first.end()
        if self.version == V5:
            self.assertEqual(reason.value, 0x8E)
        self.connected("pub").publish(self.topic("t"), b"to the second", qos=1)
        self.assertEqual(second.message().payload, b"to the second")
        self.assertTrue(first.messages.empty())

    def test_wildcards_match_what_the_standard_says(self):
        filters = {
            "a/+/c": {"a/b/c", "a//c"},
            "a/#": {"a", "a/b", "a/b/c", "a//c"},
            "+": {"a", "b"},
            "+/b/#": {"a/b", "a/b/c"},
        }
        topics = ["a", "a/b", "a/b/c", "a//c", "b"]
        publisher = self.connected("pub")
        for number, (tail, expected) in enumerate(filters.items()):
            subscriber = self.connected(f"sub{number}")
            subscriber.subscribe(self.topic("w", tail), qos=1)
            subscriber.subscribe(self.topic("fence"), qos=1)
            for topic in topics:
                publisher.publish(self.topic("w", topic), topic, qos=1)
            publisher.publish(self.topic("fence"), b"fence", qos=1)
            got = subscriber.until(b"fence")
            self.assertEqual({payload.decode() for payload in got}, expected, tail)
            self.assertEqual(len(got), len(expected), "one each")

    def test_overlapping_subscriptions_deliver_one_copy_with_the_highest_qos(self):
        subscriber = self.connected("sub")
        subscriber.subscribe(self.topic("o", "#"), qos=0)
        subscriber.subscribe(self.topic("o", "x"), qos=2)
        subscriber.subscribe(self.topic("o", "+"), qos=1)
        publisher = self.connected("pub")
        publisher.publish(self.topic("o", "x"), b"once", qos=2)
        publisher.publish(self.topic("o", "x"), b"fence", qos=2)
        first, second = subscriber.message(), subscriber.message()
        self.assertEqual((first.payload, first.qos), (b"once", 2))
        self.assertEqual((second.payload, second.qos), (b"fence", 2))

    def test_after_unsuback_nothing_comes(self):
        subscriber, publisher = self.connected("sub"), self.connected("pub")
        subscriber.subscribe(self.topic("a"), qos=1)
        subscriber.subscribe(self.topic("b"), qos=1)
        subscriber.unsubscribe(self.topic("a"))
        publisher.publish(self.topic("a"), b"late", qos=1)
        publisher.publish(self.topic("b"), b"fence", qos=1)
        self.assertEqual(subscriber.until(b"fence"), [])

    def test_a_subscriber_hears_what_another_client_publishes_right_after_suback(self):
        publisher = self.connected("pub")
        for number in range(50):
            subscriber = self.connected(f"sub{number}")
            subscriber.subscribe(self.topic(str(number)), self.topic(str(number), "#"), qos=1)
            publisher.publish(self.topic(str(number)), b"now", qos=1)
            self.assertEqual(subscriber.message().payload, b"now")
            subscriber.disconnect()

    def test_pings_keep_a_silent_connection(self):
        client = self.connected("quiet", keep_alive=1)
        client.subscribe(self.topic("p"))
        # Three are more than one and a half times the keep alive.
        for _ in range(3):
            client.pings.get(timeout=broker.HANG)
        client.publish(self.topic("p"), b"still here")
        self.assertEqual(client.message().payload, b"still here")

    def test_an_empty_identifier_gets_one_assigned(self):
        made = Client(BROKER, "", version=self.version)
        self.clients.append(made)
        _flags, reason, props = made.connect()
        self.assertFalse(reason.is_failure)
        if self.version == V5:
            self.assertTrue(props.AssignedClientIdentifier)
        made.subscribe(self.topic("t"))
        made.publish(self.topic("t"), b"me")
        self.assertEqual(made.message().payload, b"me")


class Version311(Common, unittest.TestCase):
    version = V3


class Version5(Common, unittest.TestCase):
    version = V5

    def test_what_a_publisher_says_of_its_message_passes_unaltered(self):
        subscriber, publisher = self.connected("sub"), self.connected("pub")
        subscriber.subscribe(self.topic("p"), qos=1)
        sent = properties(
            PacketTypes.PUBLISH,
            PayloadFormatIndicator=1,
            ContentType="text/plain",
            ResponseTopic=self.topic("answer"),
            CorrelationData=b"\x00\xff",
            UserProperty=[("a", "1"), ("b", ""), ("a", "2")],
        )
        publisher.publish(self.topic("p"), "héllo".encode(), qos=1, props=sent)
        got = subscriber.message().properties
        for name in ["PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "UserProperty"]:
            self.assertEqual(getattr(got, name), getattr(sent, name), name)

    def test_what_remains_of_the_expiry_is_passed_on(self):
        publisher = self.connected("pub")
        sent = properties(PacketTypes.PUBLISH, MessageExpiryInterval=600)
        publisher.publish(self.topic("e"), b"x", qos=1, retain=True, props=sent)
        subscriber = self.connected("sub")
        subscriber.subscribe(self.topic("e"), qos=1)
        remaining = subscriber.message().properties.MessageExpiryInterval
        self.assertTrue(0 < remaining <= 600, remaining)

    def test_every_matching_subscription_identifier_is_named(self):
        client = self.client("sub")
        _flags, _reason, connack = client.connect()
        if getattr(connack, "SubscriptionIdentifierAvailable", 1) == 0:
            self.skipTest("the broker announces that it has none")
        for identifier, tail in [(7, "#"), (300, "x")]:
            props = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier)
            client.subscribe(self.topic("i", tail), qos=1, properties=props)
        client.publish(self.topic("i", "x"), b"both", qos=1)
        self.assertEqual(sorted(client.message().properties.SubscriptionIdentifier), [7, 300])

    def test_no_local_and_retain_as_published(self):
        client, other = self.connected("me"), self.connected("other")
        client.subscribe(self.topic("n"), qos=1, noLocal=True, retainAsPublished=True)
        client.publish(self.topic("n"), b"my own", qos=1)
        other.publish(self.topic("n"), b"another's", qos=1, retain=True)
        message = client.message()
        self.assertEqual((message.payload, message.retain), (b"another's", True))

    def test_a_session_of_no_length_ends_with_its_connection(self):
        first = self.client("short", clean=False, expiry=0)
        first.connect()
        first.subscribe(self.topic("t"), qos=1)
        first.disconnect()
        flags, _, _ = self.client("short", clean=False, expiry=0).connect()
        self.assertFalse(flags.session_present)


if __name__ == "__main__":
    unittest.main()

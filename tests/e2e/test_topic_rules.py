"""Topic rules for clients that others wrote, which are known by their certificates."""

import re
import unittest

from admin import Admin
from client import V3, V5, Client
from secure import ADMINISTRATIVE_ACTION, NOT_AUTHORIZED, Secured, mqtt_js

# Exit code of `tidemq rules test`.
NO = 9
SUCCESS, NO_SUBSCRIBERS = 0x00, 0x10
PACKET_IDENTIFIER_NOT_FOUND = 0x92
FAILURE_311 = 0x80


class Ruled(Secured):
    def rule(self, name, access, *more):
        self.tidemq("rules", "add", name, "--access", access, *more)

    def start(self):
        self.set("certificates.require", "true")
        return super().start()

    def named(self, name, version=V5, **options):
        """A connected client whose certificate says this name."""
        return self.client(f"{name}-{version}", self.issue(f"{name}"), version, **options)


class TheExample(Ruled):
    """device1, device2 and device3 publish their temperatures, each its own."""

    def setUp(self):
        super().setUp()
        self.rule(
            "temperatures", "write", "--client-pattern", "device.*", "--topic-pattern", "/{%client%}/temperature"
        )
        self.devices = {name: self.issue(name) for name in ("device1", "device2", "device3", "monitor")}

    def asked(self, client, action, topic):
        done = self.run_command("rules", "test", "--client", client, "--action", action, "--topic", topic)
        self.assertIn(done.returncode, (0, NO), done.stderr)
        return done.returncode == 0, done.stdout

    def test_the_command_explains_it(self):
        for number in "123":
            device, topic = f"device{number}", f"/device{number}/temperature"
            for other in "123":
                may, said = self.asked(device, "publish", f"/device{other}/temperature")
                self.assertEqual(may, other == number, said)
                self.assertIn("temperatures", said)
                self.assertIn(topic, said)
            self.assertFalse(self.asked(device, "subscribe", topic)[0])
            self.assertFalse(self.asked(device, "subscribe", "#")[0])
        for stranger in "monitor", "mydevice1", "":
            self.assertFalse(self.asked(stranger, "publish", f"/{stranger}/temperature")[0])
        self.rule("monitors", "read", "--client", "monitor", "--topic", "/+/temperature")
        may, said = self.asked("monitor", "subscribe", "/+/temperature")
        self.assertTrue(may, said)
        self.assertIn("monitors", said)
        self.assertFalse(self.asked("monitor", "subscribe", "#")[0])

    def test_clients_see_it(self):
        self.start()
        own, other = "/device1/temperature", "/device2/temperature"
        five, three = (self.client(f"d{version}", self.devices["device1"], version) for version in (V5, V3))
        second = self.client("second", self.devices["device2"], websocket=True)
        monitor = self.client("monitor", self.devices["monitor"])
        for client in five, three, second, monitor:
            for topic_filter in own, "#", "/+/temperature", f"$share/g{own}":
                refusal = NOT_AUTHORIZED if client.version == V5 else FAILURE_311
                self.assertEqual([code.value for code in client.subscribe(topic_filter)], [refusal])
        self.assertEqual(five.told(own), NO_SUBSCRIBERS)
        self.tidemq(
            "rules", "add", "monitors", "--access", "read", "--client", "monitor", "--topic", "/+/temperature", "--apply"
        )
        self.assertEqual([code.value for code in monitor.subscribe("/+/temperature", qos=2)], [2])
        self.assertEqual([code.value for code in monitor.subscribe("/#", qos=2)], [NOT_AUTHORIZED])
        # paho passes over the code of a PUBREC and goes on, to be told that there is nothing to go on with.
        refusal = {1: NOT_AUTHORIZED, 2: PACKET_IDENTIFIER_NOT_FOUND}
        for qos in (1, 2):
            self.assertEqual(five.told(own, b"5.0", qos), SUCCESS)
            self.assertEqual(five.told(other, b"never", qos), refusal[qos])
            # It cannot be told, so it is acknowledged.
            three.publish(other, b"never", qos)
            three.publish(own, b"3.1.1", qos)
            self.assertEqual(second.told(other, b"wss", qos), SUCCESS)
            self.assertEqual(second.told(own, b"never", qos), refusal[qos])
            self.assertEqual(monitor.told(own, b"never", qos), refusal[qos])
        got = [(message.topic, message.payload) for message in (monitor.message() for _ in range(6))]
        self.assertEqual(got, [(own, b"5.0"), (own, b"3.1.1"), (other, b"wss")] * 2)
        admin = Admin(self.broker)
        hits = admin.get("/rules/hits")
        decided = {rule["name"]: rule["decided"] for rule in hits["rules"]}
        # Since the second rule came: six publishes; the monitor's subscription, and two publishes that it refuses. Six
        # publishes and a subscription met no rule.
        self.assertEqual((decided, hits["no_rule"]), ({"temperatures": 6, "monitors": 3}, 7))
        online = [one["connections"] for one in admin.get("/client-certificates/online")]
        self.assertEqual(sorted(online), [1, 1, 2])

    def test_mosquitto_and_mqtt_js_see_it(self):
        self.rule("monitors", "read", "--client", "monitor", "--topic", "/+/temperature")
        self.start()
        monitor = self.client("monitor", self.devices["monitor"])
        monitor.subscribe("/+/temperature", qos=1)
        for topic, code in ("/device3/temperature", SUCCESS), ("/device1/temperature", NOT_AUTHORIZED):
            _, said = self.mosquitto_pub("-V", "mqttv5", topic=topic, certificate=self.devices["device3"])
            found = re.search(r"received PUBACK \(Mid: \d+, RC:(\d+)\)", said)
            self.assertEqual(found and int(found[1]), code, said)
        device = mqtt_js()
        self.addCleanup(device.close)
        device.connect(
            self.broker.secure_websocket, 5, "js", ca=self.ca, certificate=self.devices["device2"].bundle
        )
        self.assertEqual(device.subscribe("/+/temperature", 1), NOT_AUTHORIZED)
        device.publish("/device2/temperature", b"js", 1)
        got = [(message.topic, message.payload) for message in (monitor.message() for _ in range(2))]
        self.assertEqual(got, [("/device3/temperature", b"m"), ("/device2/temperature", b"js")])


class Names(Ruled):
    """Common Names that mean something to MQTT, or nothing to anybody."""

    def test_hostile_ones_match_no_pattern(self):
        self.rule("own", "read-write", "--topic-pattern", "own/{%client%}/#")
        self.rule("open", "write", "--topic", "open")
        names = {
            "slash": ("a\\/b", ["own/a/b/x", "own/a/x"]),
            "plus": ("\\+", ["own/x/y"]),
            "hash": ("#", ["own/x/y", "own/x"]),
            "control": ("a\x01b", ["own/ab/x", "own/a/x"]),
            "dollar": ("$SYS", ["own/$SYS/x"]),
            "long": ("x" * 10_000, ["own/x/x", "own/" + "x" * 900 + "/x"]),
        }
        made = {stem: self.maker.client(stem, self.root, f"/CN={name}") for stem, (name, _) in names.items()}
        made["honest"] = self.maker.client("honest", self.root)
        self.start()
        for stem, (_, topics) in names.items():
            for version in V5, V3:
                with self.subTest(stem, version=version):
                    client = self.client(f"{stem}{version}", made[stem], version)
                    for topic in topics:
                        if version == V5:
                            self.assertEqual(client.told(topic), NOT_AUTHORIZED, topic)
                        refusal = NOT_AUTHORIZED if version == V5 else FAILURE_311
                        self.assertEqual([code.value for code in client.subscribe(topic)], [refusal], topic)
                    for topic_filter in "own/+/x", "own/#", "#":
                        self.assertTrue(client.subscribe(topic_filter)[0].is_failure)
                    if version == V5:
                        self.assertEqual(client.told("open"), NO_SUBSCRIBERS)
        honest = self.client("honest", made["honest"])
        self.assertEqual(honest.told("own/honest/x"), NO_SUBSCRIBERS)

    def test_several_or_none_are_refused_where_rules_need_one(self):
        self.rule("all", "read-write")
        made = {
            "several": self.maker.client("several", self.root, "/CN=a/CN=b"),
            "none": self.maker.client("none", self.root, "/O=nobody"),
        }
        self.start()
        # A rule for everybody asks for no name.
        live = [self.client(f"live {stem}", certificate) for stem, certificate in made.items()]
        self.tidemq("rules", "add", "one", "--access", "read", "--client", "one", "--apply")
        for client in live:
            self.assertEqual(client.end().value, ADMINISTRATIVE_ACTION)
        for stem, certificate in made.items():
            for version in V5, V3:
                with self.subTest(stem, version=version):
                    client = Client(self.broker, stem, version, ca=self.ca, certificate=certificate.bundle)
                    self.addCleanup(client.close)
                    _flags, reason, _properties = client.connect()
                    # paho makes the reason of 5.0 out of the return code 5 of 3.1.1.
                    self.assertEqual(reason.value, NOT_AUTHORIZED)
        rejected = self.tidemq("rejected")
        self.assertIn("CN=a", rejected)
        self.assertIn("O=nobody", rejected)


class Paths(Ruled):
    """A message is judged on every way to a client. `mallory` may not hear `a/secret` nor say `a/open`."""

    def setUp(self):
        super().setUp()
        self.rule("secrets", "deny", "--client", "mallory", "--topic", "a/secret")
        self.rule("mute", "read", "--client", "mallory", "--topic", "a/open")
        self.rule("else", "read-write")
        self.start()
        self.alice = self.named("alice")

    def test_overlapping_deny_at_delivery_and_retained(self):
        mallory = self.named("mallory")
        self.assertEqual([code.value for code in mallory.subscribe("a/secret")], [NOT_AUTHORIZED])
        # Only what covers a filter decides it.
        self.assertEqual([code.value for code in mallory.subscribe("a/#", qos=1)], [1])
        for topic in "a/secret", "a/open", "a/secret", "a/other":
            self.alice.publish(topic, topic.encode(), qos=1, retain=True)
        self.assertEqual([mallory.message().payload for _ in range(2)], [b"a/open", b"a/other"])
        mallory.unsubscribe("a/#")
        mallory.subscribe("a/#", qos=1)
        self.alice.publish("a/end", b"end", qos=1)
        self.assertEqual(sorted(mallory.until(b"end")), [b"a/open", b"a/other"])

    def test_a_will(self):
        self.alice.subscribe("a/#", qos=1)
        certificate = self.issue("mallory")
        will = {"topic": "a/open", "payload": b"will", "qos": 1}
        refused = Client(self.broker, "m", V5, ca=self.ca, certificate=certificate.bundle, will=will)
        self.addCleanup(refused.close)
        self.assertEqual(refused.connect()[1].value, NOT_AUTHORIZED)
        # Allowed when it was left, and no longer when it is due.
        later = self.client("l", certificate, will={"topic": "a/later", "payload": b"will", "qos": 1})
        kept = self.client("k", certificate, will={"topic": "a/kept", "payload": b"kept", "qos": 1})
        self.tidemq(
            "rules", "add", "later", "--access", "read", "--client", "mallory", "--topic", "a/later", "--at", "1",
            "--apply",
        )
        later.cut()
        kept.cut()
        self.assertEqual(self.alice.message().payload, b"kept")
        self.alice.publish("a/end", b"end", qos=1)
        self.assertEqual(self.alice.until(b"end"), [])

    def test_what_waits_for_one_who_is_away(self):
        certificate = self.issue("mallory")
        options = {"clean": False, "expiry": 600}
        mallory = self.client("away", certificate, **options)
        mallory.subscribe("a/#", "b/lost", qos=1)
        mallory.disconnect()
        for topic in "a/later", "a/open", "a/secret", "b/lost":
            self.alice.publish(topic, topic.encode(), qos=1)
        for topic in "a/later", "b/lost":
            self.tidemq(
                "rules", "add", topic, "--access", "deny", "--client", "mallory", "--topic", topic, "--at", "1", "--apply"
            )
        for topic in "a/later", "b/lost", "a/end":
            self.alice.publish(topic, topic.encode(), qos=1)
        again = self.client("away", certificate, **options)
        self.assertEqual(again.until(b"a/end"), [b"a/open"])

    def test_a_shared_subscription(self):
        mallory, bob = self.named("mallory"), self.named("bob")
        self.assertEqual([code.value for code in mallory.subscribe("$share/g/a/secret")], [NOT_AUTHORIZED])
        for member in mallory, bob:
            self.assertEqual([code.value for code in member.subscribe("$share/g/a/#", qos=1)], [1])
        for number in range(20):
            self.alice.publish("a/secret", b"%d" % number, qos=1)
            self.alice.publish("a/shared", b"%d" % number, qos=1)
        heard = []
        for member in mallory, bob:
            member.subscribe("end", qos=1)
        self.alice.publish("end", b"end", qos=1)
        for member in mallory, bob:
            while (message := member.message()).payload != b"end":
                heard.append((member, message.topic, message.payload))
        self.assertFalse([each for each in heard if each[:2] == (mallory, "a/secret")])
        shared = sorted(int(payload) for _, topic, payload in heard if topic == "a/shared")
        self.assertEqual(shared, list(range(20)))


if __name__ == "__main__":
    unittest.main()

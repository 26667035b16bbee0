"""Every counter of the status, by the source's names, held against what a scripted scenario must give; on one shard and
on several. Each step waits until its clients have seen what it does; then the counters must say it."""

import json
import socket
import time
import unittest

from admin import Admin
from broker import HANG, Broker, command
from client import V3, V5, Client
from test_passwords import text

GAUGES = ["Clients", "Sessions", "Subscriptions", "Messages Retained"]
COUNTS = [
    "Messages Received",
    "Messages Sent",
    "Connection Requests Accepted",
    "Connection Requests Rejected",
    "Publish Requests Accepted",
    "Publish Requests Rejected",
    "Subscribe Requests Accepted",
    "Subscribe Requests Rejected",
]
# As the source's status page lists them.
NAMES = ["Running", *GAUGES[:3], *COUNTS[:2], GAUGES[3], *COUNTS[2:]]

NOT_AUTHORIZED = 0x87
PASSWORD = "correct horse"


class Packets:
    """A client that writes its packets by hand: paho never repeats one."""

    def __init__(self, broker, name):
        self.socket = socket.create_connection((broker.host, broker.port), timeout=HANG)
        self.stream = self.socket.makefile("rb")
        body = text("MQTT") + b"\x04\x02\x00\x3c" + text(name)
        self.say(0x10, body, b"\x20\x02\x00\x00")

    def say(self, first, body, answer):
        """Sends a packet, and checks what comes back."""
        self.socket.sendall(bytes([first, len(body)]) + body)
        got = self.stream.read(len(answer))
        assert got == answer, (got, answer)

    def leave(self):
        self.socket.sendall(b"\xe0\x00")
        assert self.stream.read(1) == b""
        self.stream.close()
        self.socket.close()


class Counted:
    """The scenario. Subclasses say on how many shards."""

    shards = None

    def setUp(self):
        self.broker = Broker(
            "--listen", "ws://127.0.0.1:0/mqtt", "--listen", "mqtts://127.0.0.1:0", shards=self.shards
        ).ready()
        self.addCleanup(self.broker.stop)
        place = ["--data", self.broker.data]
        for line in [
            ["rules", "add", "open", "--access", "read-write", "--topic", "open/#"],
            ["rules", "add", "told", "--access", "read", "--topic", "$SYS/#"],
            ["config", "set", "rules.apply", "always"],
        ]:
            done = command(*line, *place)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = command("user", "add", "anna", *place, "--apply", input=PASSWORD)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.expected = {name: 0 for name in GAUGES + COUNTS}

    def counters(self):
        """The values of `tidemq status` by their names, in its order."""
        lines = command("status", "--data", self.broker.data).stdout.splitlines()
        pairs = [line.rsplit(None, 1) for line in lines]
        self.assertEqual([name.strip() for name, _ in pairs], NAMES)
        return {name.strip(): value for name, value in pairs}

    def expect(self, step, **changes):
        """What a step must have changed, and nothing else: `messages_sent=8` is eight more of Messages Sent."""
        for name, more in changes.items():
            self.expected[name.replace("_", " ").title()] += more
        wanted = {name: str(value) for name, value in self.expected.items()} | {"Running": "Yes"}
        # A client has its answer before its shard has counted the end of its turn; a moment later it has.
        deadline = time.monotonic() + 5
        while (got := self.counters()) != wanted and time.monotonic() < deadline:
            pass
        wrong = {name: f"{got[name]}, not {wanted[name]}" for name in NAMES if got[name] != wanted[name]}
        self.assertEqual(wrong, {}, step)

    def client(self, name, version=V5, **options):
        client = Client(self.broker, name, version=version, **options)
        _flags, reason, _props = client.connect()
        self.assertFalse(reason.is_failure, reason)
        self.addCleanup(client.close)
        return client

    def hear(self, clients, payload):
        for client in clients:
            self.assertEqual(client.message().payload, payload)

    def test_every_counter_says_what_was_done(self):
        self.expect("nothing was done")
        clients = self.connections()
        self.subscriptions(clients)
        self.publishes(clients)
        self.retained(clients)
        self.wills(clients)
        self.sessions(clients)
        self.elsewhere()

    def connections(self):
        clients = [self.client(f"v5-{n}") for n in range(5)] + [self.client(f"v3-{n}", V3) for n in range(3)]
        self.expect("eight connected", clients=8, sessions=8, connection_requests_accepted=8)
        named = self.client("named", user=("anna", PASSWORD))
        self.expect("one with a password", clients=1, sessions=1, connection_requests_accepted=1)
        for version in V5, V3:
            refused = Client(self.broker, f"wrong-{version}", version=version, user=("anna", "wrong"))
            _flags, reason, _props = refused.connect()
            self.assertTrue(reason.is_failure)
            refused.close()
        self.expect("two with a wrong password", connection_requests_rejected=2)
        level = text("MQTT") + b"\x09\x02\x00\x3c" + text("future")
        with socket.create_connection((self.broker.host, self.broker.port), timeout=HANG) as raw:
            raw.sendall(bytes([0x10, len(level)]) + level)
            while raw.recv(64):
                pass
        self.expect("a version that there is not", connection_requests_rejected=1)
        for url, hello in (self.broker.websocket, b"GET /wrong HTTP/1.1\r\nHost: x\r\n\r\n"), (
            self.broker.tls,
            b"this is no handshake\r\n\r\n",
        ):
            host, port = url.split("//")[1].split("/")[0].rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=HANG) as raw:
                raw.sendall(hello)
                while raw.recv(4096):
                    pass
        self.expect("a failed handshake of WebSocket and one of TLS", connection_requests_rejected=2)
        # The same client id again: it is taken over.
        again = self.client("named", user=("anna", PASSWORD))
        named.end()
        self.expect("taken over", connection_requests_accepted=1)
        again.disconnect()
        self.expect("left", clients=-1, sessions=-1)
        return clients

    def subscriptions(self, clients):
        for client in clients:
            (code,) = client.subscribe("open/a", qos=2)
            self.assertFalse(code.is_failure)
        self.expect("eight subscribe", subscriptions=8, subscribe_requests_accepted=8)
        (again,) = clients[0].subscribe("open/a", qos=2)
        self.assertFalse(again.is_failure)
        self.expect("one subscribes again", subscribe_requests_accepted=1)
        codes = [code.value for code in clients[1].subscribe("open/b", "closed", "open/c/#", "#")]
        self.assertEqual(codes, [0, NOT_AUTHORIZED, 0, NOT_AUTHORIZED])
        self.expect(
            "four filters in one packet, of which rules refuse two",
            subscriptions=2,
            subscribe_requests_accepted=2,
            subscribe_requests_rejected=2,
        )
        clients[1].unsubscribe("open/b", "open/c/#")
        self.expect("two are unsubscribed", subscriptions=-2)

    def publishes(self, clients):
        for qos in range(3):
            clients[0].publish("open/a", f"{qos}".encode(), qos=qos)
            self.hear(clients, f"{qos}".encode())
            self.expect(
                f"a publish of QoS {qos} to eight", messages_received=1, messages_sent=8, publish_requests_accepted=1
            )
        clients[5].publish("open/nobody", b"x", qos=1)
        self.expect("a publish to nobody", messages_received=1, publish_requests_accepted=1)
        self.assertEqual(clients[0].told("closed", b"x", qos=1), NOT_AUTHORIZED)
        clients[5].publish("closed", b"x", qos=1)
        clients[6].publish("closed", b"x", qos=0)
        clients[6].publish("open/nobody", b"x", qos=1)
        self.expect(
            "rules refuse three", messages_received=4, publish_requests_accepted=1, publish_requests_rejected=3
        )
        twice = Packets(self.broker, "twice")
        self.expect("a client by hand", clients=1, sessions=1, connection_requests_accepted=1)
        publish = text("open/a") + b"\x00\x07twice"
        twice.say(0x34, publish, b"\x50\x02\x00\x07")
        twice.say(0x3C, publish, b"\x50\x02\x00\x07")
        twice.say(0x62, b"\x00\x07", b"\x70\x02\x00\x07")
        self.hear(clients, b"twice")
        self.expect(
            "a QoS 2 publish and its duplicate", messages_received=1, messages_sent=8, publish_requests_accepted=1
        )
        twice.leave()
        self.expect("it left", clients=-1, sessions=-1)

    def retained(self, clients):
        clients[0].publish("open/kept", b"kept", qos=1, retain=True)
        self.expect("retained", messages_retained=1, messages_received=1, publish_requests_accepted=1)
        late = self.client("late")
        late.subscribe("open/kept", qos=1)
        self.hear([late], b"kept")
        self.expect(
            "a late subscriber gets it",
            clients=1,
            sessions=1,
            subscriptions=1,
            connection_requests_accepted=1,
            subscribe_requests_accepted=1,
            messages_sent=1,
        )
        clients[0].publish("open/kept", b"", qos=1, retain=True)
        self.hear([late], b"")
        self.expect(
            "cleared", messages_retained=-1, messages_received=1, messages_sent=1, publish_requests_accepted=1
        )
        late.disconnect()
        self.expect("it left", clients=-1, sessions=-1, subscriptions=-1)

    def wills(self, clients):
        dying = self.client("dying", will={"topic": "open/a", "payload": b"gone", "qos": 1})
        self.expect("one with a will", clients=1, sessions=1, connection_requests_accepted=1)
        dying.cut()
        self.hear(clients, b"gone")
        self.expect(
            "its will is published, and no packet came",
            clients=-1,
            sessions=-1,
            publish_requests_accepted=1,
            messages_sent=8,
        )
        refused = Client(self.broker, "refused", version=V5, will={"topic": "closed", "payload": b"x"})
        _flags, reason, _props = refused.connect()
        self.assertTrue(reason.is_failure)
        refused.close()
        self.expect("a will that rules refuse", connection_requests_rejected=1)

    def sessions(self, clients):
        lasting = self.client("lasting", expiry=600)
        lasting.subscribe("open/a", qos=1)
        lasting.disconnect()
        self.expect(
            "a session that lasts",
            sessions=1,
            subscriptions=1,
            connection_requests_accepted=1,
            subscribe_requests_accepted=1,
        )
        clients[0].publish("open/a", b"wait", qos=1)
        self.hear(clients, b"wait")
        self.expect("it waits", messages_received=1, messages_sent=8, publish_requests_accepted=1)
        again = self.client("lasting", expiry=0, clean=False)
        self.hear([again], b"wait")
        self.expect("and is sent", clients=1, messages_sent=1, connection_requests_accepted=1)
        again.disconnect()
        self.expect("the session ends", clients=-1, sessions=-1, subscriptions=-1)
        (reader,) = [self.client("reader")]
        reader.subscribe("$SYS/broker/version")
        self.assertIn(b"tidemq", reader.message().payload)
        self.expect(
            "what the broker says of itself counts nowhere",
            clients=1,
            sessions=1,
            subscriptions=1,
            connection_requests_accepted=1,
            subscribe_requests_accepted=1,
        )

    def elsewhere(self):
        """The same values in the API, for Prometheus and in `--json`."""
        admin = Admin(self.broker)
        status = admin.get("/status")
        said = json.loads(command("status", "--json", "--data", self.broker.data).stdout)
        metrics = dict(
            line.rsplit(" ", 1)
            for line in admin.ask("GET", "/metrics").body.decode().splitlines()
            if not line.startswith("#")
        )
        self.assertEqual((status["running"], said["running"], metrics["tidemq_running"]), (True, True, "1"))
        for name, value in self.expected.items():
            key = name.lower().replace(" ", "_")
            series = f"tidemq_{key}" + ("" if name in GAUGES else "_total")
            self.assertEqual((status[key], said[key], metrics[series]), (value, value, str(value)), name)
        self.assertEqual(len(status["shards"]), self.shards)
        for of_shard in ["clients", "sessions", "subscriptions", "messages_received", "messages_sent"]:
            self.assertEqual(sum(shard[of_shard] for shard in status["shards"]), status[of_shard], of_shard)


class OnOneShard(Counted, unittest.TestCase):
    shards = 1


class OnFourShards(Counted, unittest.TestCase):
    shards = 4


class Disabled(unittest.TestCase):
    def test_a_disabled_broker_is_not_running(self):
        broker = Broker("--admin", "off", listen=False).ready()
        self.addCleanup(broker.stop)
        lines = command("status", "--data", broker.data).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["Running", "No"])
        self.assertEqual([line.rsplit(None, 1)[1] for line in lines[1:]], ["0"] * 12)


if __name__ == "__main__":
    unittest.main()

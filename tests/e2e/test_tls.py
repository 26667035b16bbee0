"""TLS with clients that others wrote: who gets in with which certificate, and what those are told who do not."""

import itertools
import socket
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import openssl
from broker import HANG, Broker, command
from openssl import CONNECT_AND_GO, Made
from secure import Secured, mqtt_js, paho

NUMBERS = itertools.count()


@dataclass
class Kind:
    """A sort of client certificate, and what the broker must make of it."""

    name: str
    made: Made | None
    trusted: bool
    listed: str | None
    alert: str
    """What a peer is told that is refused for it, unless it is for the list."""

    def accepted(self, only, any_):
        """The table of the decisions, Revoked and none aside."""
        if self.made is None or self.listed == "revoked":
            return False
        authorized = self.listed == "authorized"
        if only and any_:
            return authorized
        if only:
            return self.trusted and authorized
        return self.trusted or (any_ and authorized)

    @property
    def told(self):
        if self.made is None:
            return "certificate required"
        if self.listed == "revoked":
            return "certificate revoked"
        # Whoever is trusted is missed on the list.
        return self.alert or "access denied"


class TruthTable(Secured):
    def kinds(self):
        """Every sort, listed in the configuration as its name says."""
        make, root = self.maker, self.root
        stranger = make.authority("stranger")
        middle = make.authority("middle", root)
        kinds = [Kind("none", None, False, None, "")]

        def add(name, made, trusted, alert):
            for listed in None, "authorized", "revoked":
                kinds.append(Kind(f"{name}, {listed or 'not listed'}", made(name, listed), trusted, listed, alert))

        def named(make_one):
            return lambda name, listed: make_one(f"{name}-{listed}")

        add("issued", named(self.issue), True, "")
        add("made", named(lambda stem: make.client(stem, root)), True, "")
        add("foreign", named(lambda stem: make.client(stem, stranger)), False, "unknown ca")
        past = ("20200101000000Z", "20210101000000Z")
        add("expired", named(lambda stem: make.at_another_time(stem, root, *past)), False, "certificate expired")
        for kind in kinds:
            if kind.listed:
                word = "authorize" if kind.listed == "authorized" else "revoke"
                self.tidemq("cert", "client", word, kind.made.pem)
        signed = make.request("signed")
        self.tidemq("ca", "sign", signed.request, "--out", signed.pem)
        future = ("21200101000000Z", "21210101000000Z")
        more = {
            "signed here": (signed.made(), ""),
            "chain": (make.client("chain", middle), ""),
            "rsa": (make.client("rsa", root, key=openssl.RSA), ""),
            "p384": (make.client("p384", root, key=openssl.P384), ""),
            "ed25519": (make.client("ed25519", root, key=openssl.ED25519), ""),
            "itself": (make.client("itself"), "unknown ca"),
            "server's": (make.client("server", root, usage="serverAuth"), "unsupported certificate"),
            "not yet": (make.at_another_time("not-yet", root, *future), "certificate expired"),
        }
        return kinds + [Kind(name, made, not alert, None, alert) for name, (made, alert) in more.items()]

    def ways(self):
        """Programs that connect with a certificate: `None` when they are let in, else what they say."""

        def through_openssl(version):
            def way(made):
                seen = self.visit(version, certificate=made)
                return None if seen.accepted else seen.said

            return way

        def through_mosquitto(made):
            code, said = self.mosquitto_pub(certificate=made)
            return None if code == 0 else said

        def through_peer(make, url, **tls):
            peer = make()
            self.addCleanup(peer.close)

            def way(made):
                shown = {"certificate": made.bundle} if made else {}
                version = 4 + next(NUMBERS) % 2
                return peer.attempt(url, version, f"peer{next(NUMBERS)}", ca=self.ca, **shown, **tls)

            return way

        mqtts, wss = self.broker.tls, self.broker.secure_websocket
        return {
            "openssl 1.2": through_openssl("-tls1_2"),
            "openssl 1.3": through_openssl("-tls1_3"),
            "mosquitto": through_mosquitto,
            "paho": through_peer(paho, mqtts),
            "paho wss": through_peer(paho, wss),
            "paho wss 1.2": through_peer(paho, wss, tls="1.2"),
            "MQTT.js": through_peer(mqtt_js, mqtts),
            "MQTT.js 1.2": through_peer(mqtt_js, mqtts, tls="1.2"),
            "MQTT.js wss": through_peer(mqtt_js, wss),
        }

    def judge(self, who, way, kind, only, any_):
        """What is wrong, or `None`."""
        told = way(kind.made)
        if kind.accepted(only, any_):
            return told and f"{who} with {kind.name}: refused: {told}"
        if told is None:
            return f"{who} with {kind.name}: let in"
        # Of the libraries paho keeps the alert to itself.
        silent = who.startswith("paho") or (who == "mosquitto" and kind.made is None)
        if not silent and f"alert {kind.told}" not in told:
            return f"{who} with {kind.name}: not told `{kind.told}`: {told[-300:]}"
        return None

    def test_every_cell_with_every_client(self):
        self.require_certificates()
        kinds = self.kinds()
        self.start()
        ways = self.ways()
        for only, any_ in itertools.product((False, True), repeat=2):
            self.set("certificates.trusted_authorized_only", str(only).lower())
            self.set("certificates.any_authorized", str(any_).lower(), "--apply")
            with self.subTest(trusted_authorized_only=only, any_authorized=any_):

                def column(item):
                    who, way = item
                    return [wrong for kind in kinds if (wrong := self.judge(who, way, kind, only, any_))]

                with ThreadPoolExecutor(len(ways)) as threads:
                    wrong = list(itertools.chain(*threads.map(column, ways.items())))
                self.assertEqual(wrong, [])


class Encrypted(Secured):
    """Without client certificates."""

    def test_openssl_verifies_the_broker_and_resumes(self):
        self.start()
        for version in "-tls1_2", "-tls1_3":
            with self.subTest(version):
                session = self.files / f"session{version}"
                first = self.visit(version, "-alpn", "mqtt", "-sess_out", session)
                self.assertTrue(first.accepted, first.said)
                self.assertIn("ALPN protocol: mqtt", first.said)
                self.assertIn("Verify return code: 0 (ok)", first.said)
                self.assertFalse(first.resumed)
                again = self.visit(version, "-alpn", "mqtt", "-sess_in", session)
                self.assertTrue(again.accepted and again.resumed, again.said)
        often = self.visit("-tls1_2", "-reconnect")
        self.assertEqual(often.said.count("Reused, TLSv1.2"), 5, often.said)
        other = self.visit("-alpn", "http/1.1")
        self.assertFalse(other.accepted)
        self.assertIn("alert no application protocol", other.said)
        for old in "-tls1_1", "-tls1":
            self.assertFalse(self.visit(old, "-cipher", "DEFAULT@SECLEVEL=0").accepted)

    def test_whoever_trusts_another_authority_does_not_connect(self):
        self.start()
        self.ca = self.maker.authority("another").pem
        self.assertIn("unable to get local issuer", self.visit().said)
        code, said = self.mosquitto_pub()
        self.assertNotEqual(code, 0)
        self.assertIn("certificate verify failed", said)

    def test_a_plain_client_at_tls_and_tls_at_a_plain_listener(self):
        self.start()
        listeners = [self.broker.tls, self.broker.secure_websocket]
        for url in map(urlsplit, listeners):
            for data in CONNECT_AND_GO, b"GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x40\x00" + bytes(64):
                with self.subTest(url=url.geturl(), data=data[:8]):
                    with socket.create_connection((url.hostname, url.port), timeout=HANG) as plain:
                        plain.sendall(data)
                        if data[0] == 0x16:
                            plain.shutdown(socket.SHUT_WR)
                        self.assertEqual(read_to_end(plain)[:1], b"" if data[0] == 0x16 else b"\x15")
            self.assertTrue(self.visit().accepted)
        other = Broker("--listen", "ws://127.0.0.1:0/mqtt").ready()
        self.addCleanup(other.stop)
        for port in other.port, urlsplit(other.websocket).port:
            seen = openssl.visit(other.host, port, self.ca)
            self.assertFalse(seen.accepted)
            self.assertNotIn("BEGIN CERTIFICATE", seen.said)
        self.assertEqual(plain_connack(other), openssl.ACCEPTED)

    def test_a_new_broker_certificate_drops_nobody(self):
        self.start()
        watcher, speaker = (
            self.client(name, self.issue(name), websocket=websocket) for name, websocket in (("a", False), ("b", True))
        )
        watcher.subscribe("t", qos=1)
        before = serial(self.visit().said)
        for number in range(3):
            speaker.publish("t", f"before {number}".encode(), qos=1)
            self.tidemq("cert", "broker", "new", "--apply")
            after = serial(self.visit().said)
            self.assertNotEqual(before, after)
            before = after
            speaker.publish("t", f"after {number}".encode(), qos=1)
        got = [watcher.message().payload.decode() for _ in range(6)]
        self.assertEqual(got, [f"{word} {number}" for number in range(3) for word in ("before", "after")])
        self.assertTrue(watcher.ends.empty() and speaker.ends.empty())


def serial(said):
    """The certificate that the broker has shown."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return said[said.index(begin) : said.index(end)]


def read_to_end(peer):
    got = b""
    try:
        while part := peer.recv(4096):
            got += part
    except ConnectionResetError:
        pass
    return got


def plain_connack(broker):
    with socket.create_connection((broker.host, broker.port), timeout=HANG) as plain:
        plain.sendall(CONNECT_AND_GO)
        return read_to_end(plain)


class FreshInstallation(unittest.TestCase):
    """Nothing but the binary, and `--listen mqtts://`."""

    def test_it_works_at_once_with_the_authority_that_it_made(self):
        with tempfile.TemporaryDirectory(prefix="tidemq-e2e-") as folder:
            data, ca = Path(folder) / "data", Path(folder) / "ca.pem"
            broker = Broker("--listen", "mqtts://127.0.0.1:0", data=data, listen=False).ready()
            try:
                said = "\n".join(broker.out.seen)
                self.assertIn("tidemq ca export", said)
                done = command("ca", "export", "built-in", "--out", ca, "--data", data)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                url = urlsplit(broker.tls)
                seen = openssl.visit(url.hostname, url.port, ca)
                self.assertTrue(seen.accepted, seen.said)
                # Its names fit however this machine is called.
                by_name = openssl.visit("localhost", url.port, ca)
                self.assertTrue(by_name.accepted, by_name.said)
            finally:
                broker.stop()


if __name__ == "__main__":
    unittest.main()

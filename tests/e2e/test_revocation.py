"""What Apply does to those who are connected: who is revoked or removed goes at once, and nobody else notices."""

import subprocess
import threading
import time
import unittest
from urllib.parse import urlsplit

from broker import HANG, Broker, Lines, command
from client import V3, V5, Client
from openssl import REFUSED_NOT_AUTHORIZED
from secure import ADMINISTRATIVE_ACTION, Secured


class Speaker:
    """Publishes numbers without pause, until it is told to stop; `watcher` must hear every one."""

    def __init__(self, speaker, watcher, topic):
        self._speaker, self._watcher, self._topic = speaker, watcher, topic
        self._watcher.subscribe(topic, qos=1)
        self._over = threading.Event()
        self._said = 0
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def _speak(self):
        while not self._over.is_set():
            self._speaker.publish(self._topic, b"%d" % self._said, qos=1)
            self._said += 1

    def stop(self):
        """What the watcher heard, and what it should have."""
        self._over.set()
        self._thread.join(HANG)
        self._speaker.publish(self._topic, b"end", qos=1)
        return [int(payload) for payload in self._watcher.until(b"end")], list(range(self._said))


class Revoked(Secured):
    def revoked(self, *names):
        """Revokes and applies; returns when Apply had answered."""
        for name in names[:-1]:
            self.tidemq("cert", "client", "revoke", name)
        self.tidemq("cert", "client", "revoke", names[-1], "--apply")
        return time.monotonic()

    def test_it_closes_live_connections_and_sessions_are_not_resumed(self):
        self.require_certificates()
        certificates = {name: self.issue(name) for name in ("a", "b", "c", "watcher", "speaker")}
        self.start()
        sessions = {}
        for version in "-tls1_2", "-tls1_3":
            sessions[version] = self.files / f"session{version}"
            first = self.visit(version, "-sess_out", sessions[version], certificate=certificates["a"])
            self.assertTrue(first.accepted, first.said)
            again = self.visit(version, "-sess_in", sessions[version], certificate=certificates["a"])
            self.assertTrue(again.accepted and again.resumed, again.said)
        watcher, speaker = (self.client(name, certificates[name]) for name in ("watcher", "speaker"))
        # The will of one who is put out is not published.
        will = {"topic": "will", "payload": b"?", "qos": 1}
        watcher.subscribe("will", qos=1)
        live = [
            (name, self.client(f"{name}{version}{websocket}", certificates[name], version, websocket=websocket, will=will))
            for name in ("a", "b")
            for version in (V3, V5)
            for websocket in (False, True)
        ]
        mosquitto = self.mosquitto_sub(certificates["c"])
        talk = Speaker(speaker, watcher, "talk")
        began = time.monotonic()
        self.revoked("a", "c")
        for name, client in live:
            if name == "a":
                reason = client.end()
                if client.version == V5:
                    self.assertEqual(reason.value, ADMINISTRATIVE_ACTION)
        print(f"revoked and gone, with the command itself: {time.monotonic() - began:.3f} s")
        self.assertIn(f"({ADMINISTRATIVE_ACTION})", mosquitto.rest()[-1])
        for version, session in sessions.items():
            with self.subTest(version):
                after = self.visit(version, "-sess_in", session, certificate=certificates["a"])
                # Its certificate is not asked for again; it is judged when it says CONNECT.
                self.assertTrue(after.resumed, after.said)
                self.assertEqual(after.connack, REFUSED_NOT_AUTHORIZED, after.said)
        heard, should_have = talk.stop()
        self.assertEqual(heard, should_have)
        for name, client in live:
            if name == "b":
                client.subscribe("own", qos=1)
                client.publish("own", b"still here", qos=1)
                self.assertEqual(client.message().payload, b"still here")
        rejected = self.tidemq("rejected")
        self.assertIn("CN=a", rejected)
        self.assertIn("Revoked", rejected)
        # And back again.
        self.tidemq("cert", "client", "authorize", "a", "--apply")
        self.assertTrue(self.visit(certificate=certificates["a"]).accepted)

    def test_an_authority_that_is_removed_takes_its_clients_with_it(self):
        self.require_certificates()
        plant = self.maker.authority("plant")
        self.tidemq("ca", "import", plant.pem)
        leaving, staying = self.maker.client("leaving", plant), self.issue("staying")
        self.start()
        session = self.files / "session"
        self.assertTrue(self.visit("-sess_out", session, certificate=leaving).accepted)
        self.assertTrue(self.visit("-sess_in", session, certificate=leaving).resumed)
        gone, here = self.client("gone", leaving), self.client("here", staying)
        self.tidemq("ca", "remove", "plant", "--apply")
        self.assertEqual(gone.end().value, ADMINISTRATIVE_ACTION)
        self.assertFalse(self.visit("-sess_in", session, certificate=leaving).accepted)
        here.publish("t", b"", qos=1)
        self.assertTrue(here.ends.empty())

    def mosquitto_sub(self, certificate):
        url = urlsplit(self.broker.tls)
        shown = ["--cafile", self.ca, "--cert", certificate.bundle, "--key", certificate.bundle]
        return MosquittoSub(url.hostname, url.port, *shown)


class Removed(unittest.TestCase):
    """Users and their passwords, with mosquitto's own client."""

    def setUp(self):
        self.broker = Broker().ready()
        self.addCleanup(self.broker.stop)

    def user(self, *arguments, password=""):
        done = command("user", *arguments, "--data", self.broker.data, input=password)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def client(self, name):
        made = Client(self.broker, name, V5, user=(name, name))
        self.addCleanup(made.close)
        self.assertFalse(made.connect()[1].is_failure)
        return made

    def test_they_go_at_once_and_nobody_else_notices(self):
        names = ["gone", "other password", "watcher", "speaker"]
        for name in names[:-1]:
            self.user("add", name, password=name)
        self.user("add", names[-1], "--apply", password=names[-1])
        place = self.broker.host, self.broker.port
        first, second = (MosquittoSub(*place, "-u", name, "-P", name) for name in names[:2])
        talk = Speaker(self.client("speaker"), self.client("watcher"), "talk")
        began = time.monotonic()
        self.user("passwd", names[1], password="new")
        self.user("remove", names[0], "--apply")
        for listener in first, second:
            said = listener.rest()
            self.assertIn(f"({ADMINISTRATIVE_ACTION})", said[-1])
        print(f"removed and gone, with the commands themselves: {time.monotonic() - began:.3f} s")
        heard, should_have = talk.stop()
        self.assertEqual(heard, should_have)
        for credentials, code in (("gone", "gone"), 134), (("other password", "other password"), 134):
            refused = Client(self.broker, "again", V5, user=credentials)
            self.addCleanup(refused.close)
            self.assertEqual(refused.connect()[1].value, code)
        MosquittoSub(*place, "-u", names[1], "-P", "new").close()


class MosquittoSub:
    """A mosquitto_sub of 5.0 that has subscribed. Put out, it comes again and again, until it is ended."""

    def __init__(self, host, port, *options):
        line = ["stdbuf", "-oL", "mosquitto_sub", "-h", host, "-p", port, "-V", "mqttv5", "-d", "-t", "nothing"]
        self._process = subprocess.Popen(
            list(map(str, [*line, *options])), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines = Lines(self._process.stdout)
        self._lines.wait(r"^Subscribed")

    def rest(self):
        """What it says up to the DISCONNECT that it is sent."""
        try:
            self._lines.wait("Received DISCONNECT")
            return list(self._lines.seen)
        finally:
            self.close()

    def close(self):
        self._process.kill()
        self._process.wait(timeout=HANG)
        self._lines.rest()
        self._process.stdout.close()


if __name__ == "__main__":
    unittest.main()

"""What Apply does to those who are connected: who is revoked or removed goes at once, and nobody else notices."""

import re
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
        said = mosquitto.rest()
        self.assertTrue(any(f"({ADMINISTRATIVE_ACTION})" in line for line in said), said)
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
        """The lines of a mosquitto_sub that is connected."""
        url = urlsplit(self.broker.tls)
        line = ["stdbuf", "-oL", "mosquitto_sub", "-h", url.hostname, "-p", str(url.port), "-V", "mqttv5", "-d"]
        line += ["--cafile", self.ca, "--cert", certificate.bundle, "--key", certificate.bundle, "-t", "nothing"]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return Listener(process)


class Listener:
    """A mosquitto_sub; put out, it tries again and again, until it is ended."""

    def __init__(self, process):
        self._process = process
        self._lines = Lines(process.stdout)
        self._lines.wait(r"^Subscribed")

    def rest(self):
        """What it says up to the end of its connection."""
        try:
            self._lines.wait("DISCONNECT")
        finally:
            self._process.kill()
            self._process.wait(timeout=HANG)
            said = self._lines.rest()
            self._process.stdout.close()
        return said


if __name__ == "__main__":
    unittest.main()

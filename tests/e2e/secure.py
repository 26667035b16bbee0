"""A broker with TLS, made by command line as its operator would make it, and the clients that others wrote against it."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import openssl
from broker import BINARY, HANG, Broker, command
from client import V5, Client
from peers import Peer, Process

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("E2E_FOLDER", Path(BINARY).parent.parent))
NOT_AUTHORIZED = 0x87
ADMINISTRATIVE_ACTION = 0x98


def paho():
    """paho as a program; `words` says how it is spoken to."""
    return Peer(Process(sys.executable, HERE / "drive_paho.py"))


def mqtt_js():
    return Peer(Process("node", HERE / "js" / "node.js", FOLDER / "e2e-js"))


class Secured(unittest.TestCase):
    """A data directory whose configuration has a TLS and a `wss` listener, and a folder with certificates.

    `root` was made by openssl and imported with its key: it issues.
    """

    def setUp(self):
        temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
        self.addCleanup(temp.cleanup)
        self.files = Path(temp.name)
        self.data = self.files / "data"
        self.maker = openssl.Maker(self.files)
        self.root = self.maker.authority("root")
        self.tidemq("ca", "import", self.root.pem, "--key", self.root.key, "--use")
        for field, value in {
            "enabled": "true",
            "listener[0].tls": "true",
            "listener[0].address": "127.0.0.1:0",
            "listener[1].tls": "true",
            "listener[1].address": "127.0.0.1:0",
            "listener[1].enabled": "true",
            # What the machine trusts besides is no matter of these tests.
            "certificates.trust_operating_system": "false",
        }.items():
            self.set(field, value)
        self.broker = None

    def tidemq(self, *arguments, **options):
        """Runs a command that must succeed; what it says."""
        done = self.run_command(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        return done.stdout

    def run_command(self, *arguments, **options):
        return command(*arguments, "--data", self.data, **options)

    def set(self, field, value, *more):
        self.tidemq("config", "set", field, value, *more)

    def require_certificates(self):
        """And let those who have one do everything."""
        self.tidemq("rules", "add", "everything", "--access", "read-write")
        self.set("certificates.require", "true")

    def start(self):
        """Applies what was edited and starts the broker."""
        self.tidemq("config", "apply")
        self.broker = Broker(data=self.data, listen=False).ready()
        self.addCleanup(self.broker.stop)
        self.ca = self.files / "ca.pem"
        self.tidemq("ca", "export", "root", "--out", self.ca)
        return self.broker

    def issue(self, name, *more):
        """A client certificate of this broker's own authority."""
        bundle = self.files / f"{name}.bundle"
        self.tidemq("ca", "issue", "--name", name, "--pem", bundle, *more)
        return openssl.Made(bundle, bundle, bundle)

    def client(self, name, certificate, version=V5, **options):
        """A connected paho with a certificate."""
        made = Client(self.broker, name, version=version, ca=self.ca, certificate=certificate.bundle, **options)
        self.addCleanup(made.close)
        _flags, reason, _properties = made.connect()
        self.assertFalse(reason.is_failure, reason)
        return made

    def visit(self, *options, certificate=None):
        """What openssl's client sees."""
        url = urlsplit(self.broker.tls)
        return openssl.visit(url.hostname, url.port, self.ca, *options, certificate=certificate)

    def mosquitto_pub(self, *options, certificate=None, topic="t"):
        """(exit code, what it said) of a mosquitto_pub over TLS."""
        return self.mosquitto("mosquitto_pub", "-t", topic, "-m", "m", "-q", "1", *options, certificate=certificate)

    def mosquitto(self, program, *options, certificate=None):
        url = urlsplit(self.broker.tls)
        line = [program, "-h", url.hostname, "-p", url.port, "--cafile", self.ca, "-d", *options]
        if certificate:
            line += ["--cert", certificate.bundle, "--key", certificate.bundle]
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=HANG, check=False)
        return done.returncode, done.stdout + done.stderr

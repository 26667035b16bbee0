"""User names and passwords: `tidemq user`, and what clients with right, wrong, unknown and no credentials are told."""

import itertools
import os
import socket
import subprocess
import unittest

from broker import HANG, Broker, command

INVALID, DATA = 3, 6
V3, V5 = 4, 5

ACCEPTED = 0
# Return codes of 3.1.1, reason codes of 5.0: wrong, missing, too many wrong ones.
WRONG = {V3: 4, V5: 0x86}
MISSING = {V3: 5, V5: 0x87}
LIMITED = {V3: 3, V5: 0x9F}
ADMINISTRATIVE_ACTION = 0x98

NUMBERS = itertools.count()


def text(value):
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


class Raw:
    """A CONNECT, and what comes back."""

    def __init__(self, broker, version, user=None, password=None, client_id=None):
        flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
        body = text("MQTT") + bytes([version, flags, 0, 60])
        body += b"\x00" if version == V5 else b""
        body += text(client_id or f"raw{next(NUMBERS)}")
        body += b"".join(text(part) for part in (user, password) if part is not None)
        assert len(body) < 128
        self.socket = socket.create_connection((broker.host, broker.port), timeout=HANG)
        self.socket.sendall(bytes([0x10, len(body)]) + body)

    def packet(self):
        """The next packet; `None`: the end."""
        with_header = self.read(2)
        if with_header is None:
            return None
        assert with_header[1] < 128
        return with_header + self.read(with_header[1])

    def read(self, size):
        got = b""
        while len(got) < size:
            part = self.socket.recv(size - len(got))
            if not part:
                return None
            got += part
        return got

    def code(self):
        """The code of the CONNACK."""
        packet = self.packet()
        assert packet[0] == 0x20, packet
        return packet[3]

    def close(self):
        self.socket.close()


class Users(unittest.TestCase):
    """A broker, one for each test."""

    def setUp(self):
        self.broker = Broker().ready()
        self.addCleanup(self.broker.stop)

    def user(self, what, *arguments, password=None, code=0):
        """Runs `tidemq user`, with a password on its standard input."""
        done = command("user", what, "--data", self.broker.data, *arguments, input=password or "")
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def code(self, version, user=None, password=None):
        client = Raw(self.broker, version, user, password)
        try:
            return client.code()
        finally:
            client.close()

    def require(self):
        self.broker.edit("# user.\nrequire = false", "# user.\nrequire = true")
        done = command("config", "apply", "--data", self.broker.data)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_without_users_everybody_is_welcome(self):
        for version in (V3, V5):
            self.assertEqual(self.code(version, "anna", "secret"), ACCEPTED)
            self.assertEqual(self.code(version), ACCEPTED)

    def test_right_wrong_unknown_and_none(self):
        self.user("add", "anna", "--apply", password="secret\n")
        for required in (False, True):
            for version in (V3, V5):
                self.assertEqual(self.code(version, "anna", "secret"), ACCEPTED)
                self.assertEqual(self.code(version, "anna", "Secret"), WRONG[version])
                self.assertEqual(self.code(version, "bert", "secret"), WRONG[version])
                self.assertEqual(self.code(version, "anna"), WRONG[version])
                self.assertEqual(self.code(version), MISSING[version] if required else ACCEPTED)
            if not required:
                self.require()

    def test_mosquitto(self):
        self.user("add", "anna", password="secret")
        self.require()

        def publish(version, *credentials):
            line = ["mosquitto_pub", "-h", self.broker.host, "-p", str(self.broker.port), "-V", version]
            line += ["-t", "t", "-m", "m", "-q", "1", *credentials]
            done = subprocess.run(line, capture_output=True, text=True, timeout=HANG, check=False)
            return done.returncode, done.stdout + done.stderr

        for version in ("mqttv311", "mqttv5"):
            self.assertEqual(publish(version, "-u", "anna", "-P", "secret"), (0, ""))
            for credentials in (("-u", "anna", "-P", "wrong"), ("-u", "bert", "-P", "secret"), ("-u", "anna")):
                code, said = publish(version, *credentials)
                self.assertNotEqual(code, 0)
                self.assertIn("bad user name or password", said.lower())
            code, said = publish(version)
            self.assertNotEqual(code, 0)
            self.assertIn("not authori", said.lower())

    def test_many_at_once_with_one_password(self):
        self.user("add", "anna", "--apply", password="secret")
        clients = [Raw(self.broker, (V3, V5)[n % 2], "anna", "secret") for n in range(300)]
        for client in clients:
            self.assertEqual(client.code(), ACCEPTED)
        for client in clients:
            client.close()

    def test_too_many_wrong_ones(self):
        self.user("add", "anna", password="secret")
        self.user("add", "bert", "--apply", password="secret")
        # In the cache of its client's home.
        known = Raw(self.broker, V5, "anna", "secret", client_id="known")
        self.assertEqual(known.code(), ACCEPTED)
        codes = [self.code(V5, "bert", f"guess {n}") for n in range(10)]
        self.assertEqual(codes, [WRONG[V5]] * 10)
        for version in (V3, V5):
            self.assertEqual(self.code(version, "bert", "another"), LIMITED[version])
            self.assertEqual(self.code(version, "bert", "secret"), LIMITED[version])
        again = Raw(self.broker, V5, "anna", "secret", client_id="known")
        self.assertEqual(again.code(), ACCEPTED)
        known.close()
        again.close()

    def test_apply_puts_out_who_was_removed_or_has_another_password(self):
        for name in ("anna", "bert", "carl"):
            self.user("add", name, password=name)
        self.require()
        clients = {name: Raw(self.broker, V5, name, name) for name in ("anna", "bert", "carl")}
        for client in clients.values():
            self.assertEqual(client.code(), ACCEPTED)
        self.user("passwd", "bert", password="other")
        self.user("remove", "carl", "--apply")
        for name in ("bert", "carl"):
            packet = clients[name].packet()
            self.assertEqual((packet[0], packet[2]), (0xE0, ADMINISTRATIVE_ACTION))
            self.assertIsNone(clients[name].packet())
        clients["anna"].socket.sendall(b"\xc0\x00")
        self.assertEqual(clients["anna"].packet(), b"\xd0\x00")
        self.assertEqual(self.code(V5, "bert", "bert"), WRONG[V5])
        self.assertEqual(self.code(V5, "bert", "other"), ACCEPTED)
        self.assertEqual(self.code(V5, "carl", "carl"), WRONG[V5])
        for client in clients.values():
            client.close()

    def test_what_the_command_says(self):
        self.assertEqual(self.user("list"), "there are no users\n")
        self.user("add", "anna", password="secret")
        self.assertEqual(self.user("list"), "anna\n")
        self.assertIn("tidemq user passwd", self.user("add", "anna", password="x", code=INVALID))
        self.assertIn("no user", self.user("passwd", "bert", password="x", code=INVALID))
        self.assertIn("no user", self.user("remove", "bert", code=INVALID))
        self.user("add", "bert", password="", code=INVALID)
        self.user("add", "a\tb", password="x", code=INVALID)
        self.user("add", "bert", "--password-file", self.broker.data / "none", code=DATA)
        secret = self.broker.data / "secret"
        secret.write_text("from a file\n")
        os.chmod(secret, 0o600)
        self.user("add", "bert", "--password-file", secret, "--apply")
        self.assertEqual(self.code(V5, "bert", "from a file"), ACCEPTED)
        everything = self.broker.config.read_text() + "".join(self.broker.log.seen)
        self.assertNotIn("from a file", everything)


if __name__ == "__main__":
    unittest.main()

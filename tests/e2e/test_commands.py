"""The commands that ask the running broker: what they say to people, to machines, and by their exit codes."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from broker import BINARY, HANG, Broker, Lines, command
from client import V5, Client

NOT_RUNNING, GIVEN, NO = 7, 8, 9
EVIL = "evil\n\x1b[2Jid"


class Asking(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(shards=2).ready()
        self.addCleanup(self.broker.stop)
        self.place = ["--data", self.broker.data]

    def said(self, *words, code=0):
        done = command(*words, *self.place)
        self.assertEqual(done.returncode, code, done.stderr or done.stdout)
        return done.stdout

    def json(self, *words):
        """The documents that a command says with `--json`, one a line."""
        return [json.loads(line) for line in self.said(*words, "--json").splitlines()]

    def client(self, name, **options):
        client = Client(self.broker, name, version=V5, **options)
        client.connect()
        self.addCleanup(client.close)
        return client

    def test_clients_are_listed_shown_and_put_out(self):
        evil, lasting = self.client(EVIL), self.client("lasting", expiry=600)
        lasting.subscribe("a/#", qos=1)
        lasting.disconnect()
        listed = self.said("clients", "list")
        self.assertEqual(len(listed.splitlines()), 3, listed)
        self.assertIn("evil\\n\\u{1b}[2Jid", listed)
        self.assertNotIn("\x1b", listed)
        (all_,) = self.json("clients", "list")
        self.assertEqual({one["client_id"] for one in all_["clients"]}, {EVIL, "lasting"})
        (some,) = self.json("clients", "list", "--disconnected", "--text", "LAST")
        self.assertEqual([one["client_id"] for one in some["clients"]], ["lasting"])
        shown = self.said("clients", "show", "lasting")
        self.assertRegex(shown, r"(?m)^Disconnected since 20")
        self.assertRegex(shown, r"(?m)^a/# +lasting +1 ")
        self.said("clients", "kick", EVIL)
        self.assertEqual(evil.end().value, 0x98)
        self.said("clients", "kick", "lasting", "--session")
        done = command("clients", "show", "lasting", *self.place)
        self.assertEqual((done.returncode, done.stdout), (GIVEN, ""))
        self.assertIn("lasting", done.stderr)
        self.assertEqual(self.said("clients", "list"), "there are no such clients\n")

    def test_more_clients_than_a_page_holds_are_listed_and_no_more_than_asked_for(self):
        for number in range(30):
            self.client(f"c{number}")
        (few,) = self.json("clients", "list", "--most", "7")
        self.assertEqual(len(few["clients"]), 7)
        (all_,) = self.json("clients", "list")
        self.assertEqual(len(all_["clients"]), 30)

    def test_retained_messages_are_listed_shown_and_removed(self):
        client = self.client("c")
        client.publish("a/text", "21.5 °C\n\x1b[2J".encode(), qos=1, retain=True)
        client.publish("a/bytes", b"\xff\x00\x01", qos=1, retain=True)
        client.publish("b", b"b", qos=1, retain=True)
        (listed,) = self.json("retained", "list", "--filter", "a/#")
        self.assertEqual([one["topic"] for one in listed["messages"]], ["a/bytes", "a/text"])
        shown = self.said("retained", "show", "a/text")
        self.assertIn("21.5 °C\n\\u{1b}[2J", shown)
        self.assertIn("ff 00 01", self.said("retained", "show", "a/bytes"))
        raw = subprocess.run(
            [BINARY, "retained", "show", "a/bytes", "--raw", *self.place], capture_output=True, check=True
        )
        self.assertEqual(raw.stdout, b"\xff\x00\x01")
        self.said("retained", "remove", "a/text")
        self.said("retained", "remove", "a/text", code=GIVEN)
        self.assertEqual(len(self.json("retained", "list")[0]["messages"]), 2)

    def test_subscriptions_are_found_by_topic_and_client(self):
        client = self.client("c")
        client.subscribe("a/+", "$share/group/b/#", qos=1)
        self.client("d").subscribe("#")
        (found,) = self.json("subscriptions", "--topic", "b/c", "--client", "c")
        self.assertEqual([(one["filter"], one["share"]) for one in found["subscriptions"]], [("b/#", "group")])
        self.assertEqual(len(self.said("subscriptions").splitlines()), 4)

    def test_what_was_refused_is_followed(self):
        process = subprocess.Popen(
            [BINARY, "rejected", "--follow", "--json", *self.place], stdout=subprocess.PIPE, text=True
        )
        out = Lines(process.stdout)
        self.said("rules", "add", "nothing", "--access", "deny")
        self.said("config", "set", "rules.apply", "always", "--apply")
        self.assertEqual(self.client(EVIL).told("secret\ntopic".replace("\n", "/"), b"x", qos=1), 0x87)
        found = json.loads(out.wait("{").string)
        self.assertEqual((found["attempt"], found["topic"], found["rule"]), ("publish", "secret/topic", 1))
        self.assertEqual(found["client_id"], EVIL)
        # Whoever runs the tests in the background has SIGINT ignored for all that they start.
        process.send_signal(signal.SIGTERM)
        out.rest()
        process.wait()
        process.stdout.close()
        text = self.said("rejected")
        self.assertRegex(text, r'publish "secret/topic": .* \(rule 1\)')
        self.assertNotIn("\x1b", text)

    def test_the_status_is_watched_with_rates(self):
        process = subprocess.Popen(
            [BINARY, "status", "--watch", *self.place], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        out = Lines(process.stdout)
        self.assertRegex(out.wait("^Messages Sent").string, r"^Messages Sent +0 +0\.0/s$")
        process.terminate()
        out.rest()
        process.wait()
        process.stdout.close()
        process.stderr.close()

    def test_every_command_speaks_json(self):
        self.said("user", "list")
        for words in [
            ["status"],
            ["top"],
            ["clients", "list"],
            ["subscriptions"],
            ["retained", "list"],
            ["rejected"],
            ["console"],
            ["report"],
            ["doctor"],
            ["user", "list"],
            ["rules", "list"],
            ["rules", "lint"],
            ["rules", "add", "one", "--access", "read"],
            ["ca", "list"],
            ["ca", "show", "built-in"],
            ["cert", "broker", "show"],
            ["cert", "client", "list"],
            ["config", "check"],
            ["config", "diff"],
            ["config", "apply"],
            ["config", "show"],
            ["config", "history"],
            ["config", "history", "1"],
            ["config", "discard"],
        ]:
            done = command(*words, "--json", *self.place)
            self.assertIn(done.returncode, (0, NO), (words, done.stderr))
            for line in done.stdout.splitlines():
                self.assertIsInstance(json.loads(line), (dict, list), words)
            self.assertTrue(done.stdout, words)
        (reference,) = [json.loads(command("config", "reference", "limits", "--json").stdout)]
        self.assertIn("limits.topic_levels", [field["path"] for field in reference["fields"]])
        tested = command("rules", "test", "--action", "publish", "--topic", "t", "--json", *self.place)
        said = json.loads(tested.stdout)
        self.assertEqual((tested.returncode, said["allowed"], said["decided"]["name"]), (NO, False, "one"))
        failed = command("config", "rollback", "77", "--json", *self.place)
        self.assertEqual(json.loads(failed.stderr)["exit_code"], failed.returncode)
        self.assertNotEqual(failed.returncode, 0)

    def test_a_file_is_checked_as_an_apply_from_here_would(self):
        file = self.broker.data / "config.toml"
        levels = lambda value: {**os.environ, "TIDEMQ__LIMITS__TOPIC_LEVELS": value}
        good = command("config", "check", file, env=levels("7"))
        self.assertIn("valid with TIDEMQ__LIMITS__TOPIC_LEVELS", good.stdout)
        bad = command("config", "check", file, env=levels("many"))
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn("$TIDEMQ__LIMITS__TOPIC_LEVELS", bad.stderr)

    def test_without_a_broker_they_say_so(self):
        self.broker.stop()
        for words in ["status"], ["top"], ["clients", "list"], ["trace"], ["rejected"], ["console"], ["config", "history"]:
            done = command(*words, *self.place)
            self.assertEqual(done.returncode, NOT_RUNNING, (words, done.stderr))
            self.assertIn("no broker runs", done.stderr)


class OnATerminal(unittest.TestCase):
    """`tidemq top` on a terminal of 120 columns and 30 rows."""

    def setUp(self):
        self.broker = Broker(shards=1).ready()
        self.addCleanup(self.broker.stop)
        self.main, self.side = pty.openpty()
        self.addCleanup(os.close, self.main)
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self.before = termios.tcgetattr(self.side)
        self.addCleanup(os.close, self.side)
        environment = {**os.environ, "TERM": "xterm"}
        self.process = subprocess.Popen(
            [BINARY, "top", "--data", self.broker.data], stdin=self.side, stdout=self.side, stderr=self.side, env=environment
        )
        self.seen = b""

    def see(self, pattern):
        """Reads the screen until this was drawn on it."""
        deadline = time.monotonic() + HANG
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.main], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, f"{pattern} never came: {self.seen[-2000:]}")
            self.seen += os.read(self.main, 65_536)

    def restored(self):
        self.process.wait(HANG)
        self.see(rb"\x1b\[\?1049l")
        self.assertEqual(termios.tcgetattr(self.side), self.before)
        self.assertIn(b"\x1b[?25h", self.seen)

    def test_it_draws_sorts_and_leaves_the_terminal_as_it_was(self):
        self.see(rb"\x1b\[\?1049h")
        self.see(rb"BACKLOG B\*")
        client = Client(self.broker, "somebody", version=V5)
        client.connect()
        self.addCleanup(client.close)
        client.subscribe("a")
        os.write(self.main, b"s")
        self.see(rb"SUBSCRIPT\.\*")
        self.see(rb"somebody")
        os.write(self.main, b"q")
        self.restored()
        self.assertEqual(self.process.returncode, 0)

    def test_ctrl_c_restores_it(self):
        self.see(rb"BACKLOG B\*")
        os.write(self.main, b"\x03")
        self.restored()
        self.assertEqual(self.process.returncode, 0)

    def test_a_signal_restores_it(self):
        self.see(rb"BACKLOG B\*")
        self.process.terminate()
        self.restored()

    def test_that_the_broker_ends_restores_it(self):
        self.see(rb"BACKLOG B\*")
        self.broker.stop()
        self.restored()
        self.assertIn(self.process.returncode, (1, NOT_RUNNING))
        self.see(rb"broker")


if __name__ == "__main__":
    unittest.main()

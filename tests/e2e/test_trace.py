"""Packets that are traced: on the command line, over the API, in the message log; armed before the client comes."""

import json
import signal
import socket
import stat
import subprocess
import time
import unittest

from admin import API, Admin
from broker import BINARY, Broker, Lines, command
from client import V5, Client

KIB = 1024


def memory(process):
    """Resident memory, in KiB."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Traced(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(shards=2).ready()
        self.addCleanup(self.broker.stop)
        self.admin = Admin(self.broker)

    def trace(self, *arguments):
        """A `tidemq trace` that listens."""
        process = subprocess.Popen(
            [BINARY, "trace", "--data", self.broker.data, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, log = Lines(process.stdout), Lines(process.stderr)
        log.wait("^listening")
        self.addCleanup(self.end, process, out, log)
        return out

    def end(self, process, out, log):
        """Ctrl-C ends it in order, with whole lines."""
        process.send_signal(signal.SIGINT)
        out.rest()
        self.assertEqual((process.wait(), log.rest()[1:]), (0, []))
        process.stdout.close()
        process.stderr.close()

    def client(self, name, **options):
        client = Client(self.broker, name, version=V5, **options)
        client.connect()
        self.addCleanup(client.close)
        return client

    def apply(self, **fields):
        for name, value in fields.items():
            done = command("config", "set", f"diagnostics.{name}", value, "--data", self.broker.data)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = command("config", "apply", "--data", self.broker.data)
        self.assertEqual(done.returncode, 0, done.stderr)

    def log(self):
        return self.broker.data / "messages" / "messages.log"

    def test_a_client_is_traced_from_its_first_packet(self):
        one = self.trace("--client", "late", "--json")
        name = self.trace("--topic", "a/+", "--direction", "out")
        self.client("other").publish("a/b", b"not of late's", qos=1)
        late = self.client("late")
        late.subscribe("a/b", qos=1)
        late.publish("a/b", "21.5 °C\n\x1b[2J".encode(), qos=1)
        late.message()
        packets = []
        while not packets or packets[-1]["packet"] != "puback" or packets[-1]["direction"] != "in":
            packets.append(json.loads(one.wait("{")[0] and one.seen[-1]))
        said = [(packet["direction"], packet["packet"]) for packet in packets]
        self.assertEqual(said[:4], [("in", "connect"), ("out", "connack"), ("in", "subscribe"), ("out", "suback")])
        self.assertEqual({packet["client_id"] for packet in packets}, {"late"})
        publish = next(packet for packet in packets if packet["packet"] == "publish")
        self.assertEqual((publish["topic"], publish["qos"]), ("a/b", 1))
        self.assertEqual(publish["payload"], "21.5 °C\n\x1b[2J")
        line = name.wait("PUBLISH").string
        self.assertIn("<- late", line)
        self.assertIn("21.5 °C\\n\\u{1b}[2J", line)

    def test_the_message_log_holds_what_it_is_told_to_and_is_bounded(self):
        self.apply(log_messages="true", topic="kept/#", packets='["publish"]', payload_bytes="8", file_bytes=64 * KIB, files="3")
        listener = self.trace("--client", "end", "--packets", "disconnect")
        client = self.client("speaker")
        for number in range(2_000):
            client.queue(f"kept/{number}", b"0123456789", qos=0)
            client.queue(f"lost/{number}", b"0123456789", qos=0)
        client.publish("kept/last", b"0123456789", qos=1)
        self.client("end").disconnect()
        listener.wait("DISCONNECT")
        self.apply(log_messages="false")
        files = sorted(self.log().parent.iterdir())
        self.assertEqual([file.name for file in files], ["messages.log", "messages.log.1", "messages.log.2"])
        for file in files:
            self.assertLessEqual(file.stat().st_size, 64 * KIB)
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.log().parent.stat().st_mode), 0o700)
        lines = [json.loads(line) for file in reversed(files) for line in file.read_text().splitlines()]
        self.assertTrue(all(line["topic"].startswith("kept/") for line in lines))
        self.assertTrue(all((line["payload"], line["cut"]) == ("01234567", True) for line in lines))
        self.assertEqual(lines[-1]["topic"], "kept/last")
        numbers = [int(line["topic"][5:]) for line in lines[:-1]]
        self.assertEqual(numbers, sorted(numbers))
        written = self.log().stat().st_size
        client.publish("kept/more", b"x", qos=1)
        self.assertEqual(self.log().stat().st_size, written, "it is switched off")

    def test_a_reader_that_stops_costs_bounded_memory_and_nobody_elses_lines(self):
        stopped = socket.create_connection((self.admin.url.hostname, self.admin.url.port))
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        self.addCleanup(stopped.close)
        request = f"GET {API}/trace?payload_bytes=4096 HTTP/1.1\r\nHost: {self.admin.host}\r\n"
        stopped.sendall(f"{request}Authorization: Bearer {self.admin.token}\r\n\r\n".encode())
        self.assertIn(b"200 OK", stopped.recv(64))
        self.apply(log_messages="true", payload_bytes="4096", file_bytes=64 * KIB, files="2")
        client = self.client("flooder")
        payload = b"x" * 4096

        def flood(seconds):
            """As much as the broker takes, none of it lost by it."""
            end, sent = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                for _ in range(200):
                    client.queue("flood", payload, qos=0)
                client.publish("flood", payload, qos=1)
                sent += 201
            return sent

        sent = flood(2)
        before = memory(self.broker.process)
        sent += flood(4)
        grown = memory(self.broker.process) - before
        self.assertLess(grown, 24 * KIB, f"{sent} messages of 4 KiB")
        self.assertEqual(self.admin.get("/status")["messages_received"], sent)
        # Whoever reads hears what comes now.
        listener = self.trace("--client", "bystander", "--packets", "connect")
        self.client("bystander")
        listener.wait("CONNECT")

    def test_what_cannot_be_traced_is_told(self):
        done = command("trace", "--topic", "a/#/b", "--data", self.broker.data)
        self.assertEqual(done.returncode, 8)
        self.assertIn("a/#/b", done.stderr)
        done = command("trace", "--packets", "publish,nonsense", "--data", self.broker.data)
        self.assertEqual(done.returncode, 8)
        self.assertIn("nonsense", done.stderr)


if __name__ == "__main__":
    unittest.main()

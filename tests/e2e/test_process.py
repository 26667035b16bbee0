"""The process itself: start, signals, Apply, what it says and what it leaves behind."""

import json
import os
import signal
import socket
import tempfile
import unittest
from pathlib import Path

from broker import HANG, Broker, command
from client import V3, V5, Client

# Exit codes, as `tidemq --help` lists them.
INVALID, NOT_APPLIED, MACHINE, DATA, NOT_RUNNING = 3, 4, 5, 6, 7

CONNECT_311 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
TOO_LARGE = 0x95
TOPIC_NAME_INVALID = 0x90


def raw(broker):
    """A connection without a client."""
    return socket.create_connection((broker.host, broker.port), timeout=HANG)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return holder.getsockname()[1]


class Running(unittest.TestCase):
    """A broker that listens, one for each test."""

    def setUp(self):
        self.broker = Broker().ready()
        self.addCleanup(self.broker.stop)

    def works(self, name="probe"):
        """A client can connect and hears itself."""
        client = Client(self.broker, name, version=V5)
        _flags, reason, _properties = client.connect()
        self.assertFalse(reason.is_failure, reason)
        client.subscribe("works", qos=1)
        client.publish("works", b"yes", qos=1)
        self.assertEqual(client.message().payload, b"yes")
        client.disconnect()

    def refused_as_too_large(self, client, size):
        client.queue("t", b"x" * size, qos=1)
        self.assertEqual(client.end().value, TOO_LARGE)

    def applied_through_signal(self):
        self.broker.signal(signal.SIGHUP)
        self.broker.log.wait("generation 2 is applied")

    def test_it_says_where_it_is_and_who_can_connect(self):
        said = "\n".join(self.broker.out.seen)
        self.assertIn(f"listening on tcp 127.0.0.1:{self.broker.port}", said)
        self.assertIn(str(self.broker.data), said)
        self.assertIn("only this machine can connect", said)
        self.assertIn("4 shards on core", said)
        self.works()

    def test_sigterm_says_good_bye_to_every_client_and_ends_with_zero(self):
        clients = [Client(self.broker, f"c{number}", version=V5) for number in range(12)]
        old = Client(self.broker, "old", version=V3)
        for client in [*clients, old]:
            client.connect()
        self.broker.signal(signal.SIGTERM)
        for client in clients:
            self.assertEqual(client.end().value, 0x8B, "Server shutting down")
        old.end()
        self.assertEqual(self.broker.wait(), 0)
        self.broker.out.wait("^stopped$")

    def test_sigint_stops_it_as_well(self):
        self.broker.signal(signal.SIGINT)
        self.assertEqual(self.broker.wait(), 0)

    def test_sighup_applies_the_edited_file_for_clients_old_and_new(self):
        early = Client(self.broker, "early", version=V5)
        early.connect()
        early.publish("t", b"x" * 4096, qos=1)
        self.broker.edit('packet_bytes = "1 MiB"', "packet_bytes = 1024 # small")
        self.broker.edit("topic_levels = 128", "topic_levels = 3")
        self.applied_through_signal()
        # Its CONNACK announced 1 MiB, which holds for its connection; how deep a topic may be was never announced.
        early.publish("t", b"x" * 4096, qos=1)
        early.queue("a/b/c/d", b"", qos=1)
        self.assertEqual(early.end().value, TOPIC_NAME_INVALID)
        late = Client(self.broker, "late", version=V5)
        _flags, _reason, props = late.connect()
        self.assertEqual(props.MaximumPacketSize, 1024)
        self.refused_as_too_large(late, 4096)
        self.works()
        text = self.broker.config.read_text()
        self.assertIn("packet_bytes = 1024 # small", text)
        self.assertIn("generation = 2", text)

    def test_a_bad_file_at_sighup_leaves_the_old_one_in_force_and_names_every_path(self):
        self.broker.edit("receive_maximum = 1024", "receive_maximum = 0")
        self.broker.edit('level = "info"', 'levle = "info"')
        self.broker.signal(signal.SIGHUP)
        self.broker.log.wait("limits.receive_maximum")
        self.broker.log.wait("log.levle.*did you mean `level`")
        self.works()

    def test_config_apply_asks_the_running_broker_and_shows_its_answer(self):
        place = ["--data", self.broker.data]
        self.broker.edit("topic_levels = 128", "topic_levels = 3")
        diff = command("config", "diff", *place)
        self.assertEqual((diff.returncode, diff.stdout), (0, "limits.topic_levels: 128 -> 3 (live)\n"))
        done = command("config", "apply", *place)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("generation 2 is applied\n  limits.topic_levels: 128 -> 3 (live)", done.stdout)
        self.assertIn("limits.topic_levels = 3\n", command("config", "show", *place).stdout)

        self.broker.edit("topic_levels = 3", "topic_levels = 0")
        bad = command("config", "apply", *place)
        self.assertEqual(bad.returncode, INVALID)
        self.assertIn("limits.topic_levels", bad.stderr)

    def test_an_edit_of_an_old_text_is_shown_and_not_chosen(self):
        old = self.broker.config.read_text()
        self.broker.edit("topic_levels = 128", "topic_levels = 3")
        self.applied_through_signal()
        self.broker.config.write_text(old.replace("topic_bytes = 1024", "topic_bytes = 99"))
        done = command("config", "apply", "--data", self.broker.data)
        self.assertEqual(done.returncode, NOT_APPLIED)
        for part in ["limits.topic_bytes: 1024 -> 99", "limits.topic_levels: 3 -> 128", "generation = 2"]:
            self.assertIn(part, done.stderr)

    def test_two_brokers_do_not_share_a_data_directory(self):
        second = command("serve", "--data", self.broker.data, "--listen", "127.0.0.1:0")
        self.assertEqual(second.returncode, DATA)
        self.assertIn(f"process {self.broker.process.pid}", second.stderr)

    def test_a_taken_port_is_named_with_what_to_do(self):
        with tempfile.TemporaryDirectory() as data:
            second = command("serve", "--data", data, "--listen", f"127.0.0.1:{self.broker.port}")
        self.assertEqual(second.returncode, MACHINE)
        self.assertIn(f"127.0.0.1:{self.broker.port}", second.stderr)

    def test_bad_input_costs_only_its_own_connection(self):
        bystander = Client(self.broker, "bystander", version=V5)
        bystander.connect()
        bystander.subscribe("b", qos=1)
        garbage = [
            b"\x00\x00",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x10\xff\xff\xff\xff\x7f",
            b"\x30\x03\x00\x01a",
            CONNECT_311 + CONNECT_311,
            CONNECT_311 + b"\x36\x05\x00\x01a\x00\x01",
            CONNECT_311 + b"\x82\x02\x00\x01",
        ]
        for bad in garbage:
            with raw(self.broker) as connection:
                connection.sendall(bad)
                while connection.recv(4096):
                    pass
        bystander.publish("b", b"unharmed", qos=1)
        self.assertEqual(bystander.message().payload, b"unharmed")
        bystander.disconnect()

    def test_a_client_that_falls_silent_is_closed_after_one_and_a_half_keep_alives(self):
        with raw(self.broker) as connection:
            # Keep alive 1 s.
            connection.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x01\x00\x01q")
            self.assertEqual(connection.recv(4), b"\x20\x02\x00\x00")
            self.assertEqual(connection.recv(1), b"", "it is closed; a hang would time out")

    def test_a_packet_that_comes_byte_by_byte_is_taken(self):
        with raw(self.broker) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in CONNECT_311:
                connection.sendall(bytes([byte]))
            self.assertEqual(connection.recv(4), b"\x20\x02\x00\x00")

    def test_counters_are_shown_on_request_and_on_sigusr1(self):
        self.works()
        done = command("report", "--data", self.broker.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"messages received +1\n")
        self.assertIn("shard 3 on core", done.stdout)
        self.broker.signal(signal.SIGUSR1)
        self.broker.out.wait("messages received +1$")


class Starting(unittest.TestCase):
    """From nothing to a broker, and how it fails."""

    def setUp(self):
        self.temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
        self.addCleanup(self.temp.cleanup)
        self.folder = Path(self.temp.name)

    def test_a_fresh_broker_is_disabled_says_how_to_enable_it_and_does_so_on_apply(self):
        data = self.folder / "data"
        broker = Broker(data=data, listen=False).ready()
        self.addCleanup(broker.stop)
        said = "\n".join(broker.out.seen)
        self.assertIn("disabled", said)
        self.assertIn("serve --enable", said)
        self.assertEqual(os.stat(data).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(data / "state" / "home.key").st_mode & 0o777, 0o600)
        port = free_port()
        broker.edit("enabled = false\n\n# Where", "enabled = true\n\n# Where")
        broker.edit("127.0.0.1:1883", f"127.0.0.1:{port}")
        broker.edit("127.0.0.1:8083", "127.0.0.1:0")
        broker.edit('"many"\nenabled = false', '"many"\nenabled = true')
        self.assertEqual(command("config", "apply", "--data", data).returncode, 0)
        broker.out.wait(f"listening on tcp 127.0.0.1:{port}$")
        broker.out.wait("listening on websocket 127.0.0.1:[0-9]+/mqtt$")
        broker.port = port
        client = Client(broker, "c", version=V5)
        client.connect()
        broker.edit("enabled = true\n\n# Where", "enabled = false\n\n# Where")
        self.assertEqual(command("config", "apply", "--data", data).returncode, 0)
        self.assertEqual(client.end().value, 0x8B)
        with self.assertRaises(ConnectionRefusedError):
            raw(broker)

    def test_a_listener_that_closes_takes_its_clients_with_it_and_no_others(self):
        fresh = Broker(data=self.folder, listen=False).ready()
        fresh.edit("127.0.0.1:1883", f"127.0.0.1:{free_port()}")
        fresh.edit("127.0.0.1:8083", "127.0.0.1:0")
        fresh.edit('"many"\nenabled = false', '"many"\nenabled = true')
        fresh.stop()
        broker = Broker("--enable", data=self.folder, listen=False).ready()
        self.addCleanup(broker.stop)
        will = {"topic": "gone", "payload": b"left behind"}
        staying = Client(broker, "staying", version=V5, websocket=True)
        staying.connect()
        staying.subscribe("gone")
        leaving = [Client(broker, f"leaving-{version}", version=version, will=will) for version in (V3, V5)]
        for client in leaving:
            client.connect()
        status = ["status", "--json", "--data", self.folder]
        clients = [each["clients"] for each in json.loads(command(*status).stdout)["listeners"]]
        self.assertEqual(sorted(clients), [1, 2])

        text = broker.config.read_text()
        tcp = text.index('protocol = "tcp"')
        broker.config.write_text(text[:tcp] + text[tcp:].replace("enabled = true", "enabled = false", 1))
        # Whether the broker is enabled only the running one knows.
        change = command("config", "diff", "--data", self.folder).stdout
        self.assertIn("closes, who is connected there is disconnected", change)
        applied = command("config", "apply", "--data", self.folder)
        self.assertIn("clients disconnected: 2\n    2: the listener that it came to is closed", applied.stdout)
        self.assertEqual(leaving[1].end().value, 0x98)
        leaving[0].end()
        self.assertEqual([staying.message().payload for _ in leaving], [will["payload"]] * 2)
        left = json.loads(command(*status).stdout)["listeners"]
        self.assertEqual([each["clients"] for each in left], [1])
        self.assertIn("connect to another listener", command("rejected", "--data", self.folder).stdout)

    def test_a_trial_leaves_nothing_outside_its_directory(self):
        home = self.folder / "home"
        home.mkdir()
        nothing = {"HOME": str(home), "XDG_STATE_HOME": "", "STATE_DIRECTORY": "", "TMPDIR": str(home)}
        Broker(data=self.folder / "data", env=nothing).ready().stop()
        self.assertEqual(list(home.iterdir()), [])

    def test_data_lie_in_the_users_state_folder_unless_the_service_manager_says_otherwise(self):
        for variable, where in [("HOME", ".local/state/tidemq"), ("STATE_DIRECTORY", "")]:
            given = self.folder / variable
            given.mkdir()
            environment = {**os.environ, "XDG_STATE_HOME": "", "STATE_DIRECTORY": "", variable: str(given)}
            shown = command("config", "apply", env=environment)
            self.assertEqual(shown.returncode, DATA)
            self.assertIn(str(given / where), shown.stderr)

    def test_it_starts_again_after_a_crash_with_the_same_key(self):
        broker = Broker(data=self.folder).ready()
        key = (self.folder / "state" / "home.key").read_bytes()
        broker.process.kill()
        broker.wait()
        again = Broker(data=self.folder).ready()
        self.assertEqual((self.folder / "state" / "home.key").read_bytes(), key)
        again.stop()

    def test_a_bad_file_is_refused_at_the_start_with_every_problem(self):
        bad = self.folder / "bad.toml"
        bad.write_text('enabled = 1\n[limits]\npacket_byte = 1\n[[listener]]\naddress = "x"\n')
        for line in [["config", "check", bad], ["serve", "--data", self.folder / "d", "--config", bad]]:
            done = command(*line)
            self.assertEqual(done.returncode, INVALID, line)
            for path in ["enabled (line 1)", "limits.packet_byte (line 3)", "listener[0].address (line 5)"]:
                self.assertIn(path, done.stderr)

    def test_check_has_no_side_effects(self):
        fresh = self.folder / "fresh.toml"
        fresh.write_text(command("config", "show", "--fresh").stdout)
        done = command("config", "check", fresh)
        self.assertEqual((done.returncode, done.stdout), (0, f"{fresh}: valid\n"))
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["fresh.toml"])

    def test_commands_that_need_a_broker_say_that_none_runs(self):
        done = command("report", "--data", self.folder)
        self.assertEqual(done.returncode, NOT_RUNNING)
        self.assertIn("no broker runs", done.stderr)

    def test_a_file_is_applied_without_a_broker_and_holds_from_the_next_start(self):
        Broker(data=self.folder).ready().stop()
        config = self.folder / "config.toml"
        config.write_text(config.read_text().replace("topic_levels = 128", "topic_levels = 5"))
        done = command("config", "apply", "--data", self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("generation 2 is applied", done.stdout)
        broker = Broker(data=self.folder).ready()
        broker.stop()
        self.assertIn(", generation 2", "\n".join(broker.out.seen))

    def test_a_core_that_is_not_there_is_refused(self):
        done = command("serve", "--data", self.folder, "--listen", "127.0.0.1:0", "--cores", "4000")
        self.assertEqual(done.returncode, MACHINE)
        self.assertIn("core 4000", done.stderr)


if __name__ == "__main__":
    unittest.main()

"""The broker as a service: what it tells a service manager, and the unit file."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from broker import BINARY, HANG, ROOT, Broker


class Told(unittest.TestCase):
    """A service manager's socket, and a broker that was started with it."""

    def setUp(self):
        self.temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
        self.addCleanup(self.temp.cleanup)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(HANG)
        place = os.path.join(self.temp.name, "notify")
        self.socket.bind(place)
        env = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "300000"}
        self.broker = Broker(env=env).ready()
        self.addCleanup(self.broker.stop)

    def told(self, field):
        """The fields of the next message that has this one; the watchdog is fed in between."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            fields = dict(line.split("=", 1) for line in lines)
            if field in fields:
                return fields

    def reloaded(self):
        reloading = self.told("RELOADING")
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
        return self.told("READY")["STATUS"]

    def test_start_apply_and_stop_are_told_and_the_watchdog_is_fed(self):
        ready = self.told("READY")
        self.assertEqual(ready["READY"], "1")
        self.assertIn("generation 1", ready["STATUS"])
        for _ in range(5):
            self.assertEqual(self.told("WATCHDOG")["WATCHDOG"], "1")
        self.broker.edit("topic_levels = 128", "topic_levels = 3")
        self.broker.signal(signal.SIGHUP)
        self.assertIn("generation 2", self.reloaded())
        self.broker.edit("topic_levels = 3", "topic_levels = 0")
        self.broker.signal(signal.SIGHUP)
        self.assertIn("generation 2", self.reloaded(), "what was refused leaves it ready as it was")
        self.broker.signal(signal.SIGTERM)
        self.assertEqual(self.told("STOPPING")["STOPPING"], "1")
        self.assertEqual(self.broker.wait(), 0)


class Unit(unittest.TestCase):
    TEXT = (ROOT / "packaging" / "tidemq.service").read_text()

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not there")
    def test_systemd_takes_the_unit(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder) / "tidemq.service"
            # The machine that tests has neither the binary in its place nor the user.
            text = re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", self.TEXT)
            unit.write_text(text.replace("/usr/bin/tidemq", BINARY))
            done = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
            )
        said = [line for line in done.stderr.splitlines() if "tidemq.service" in line]
        self.assertEqual((done.returncode, said), (0, []), done.stderr)

    def test_the_unit_allows_what_the_broker_needs(self):
        for needed in ["io_uring_setup", "io_uring_enter", "io_uring_register", "LimitMEMLOCK=", "StateDirectory=tidemq"]:
            self.assertIn(needed, self.TEXT)


if __name__ == "__main__":
    unittest.main()

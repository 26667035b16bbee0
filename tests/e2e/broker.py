"""The broker under test, as a process of its own.

`TIDEMQ` names the binary (default: the workspace's development build). `E2E_BROKER=HOST:PORT` runs the tests that
fit any broker against one that already listens there.
"""

import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TIDEMQ", str(ROOT / "target" / "debug" / "tidemq"))
SHARDS = os.environ.get("E2E_SHARDS", "4")

# Nothing waits for time to pass; this only ends a test that hangs.
HANG = 30


class Lines:
    """The lines of a stream, each to be waited for."""

    def __init__(self, stream):
        self.seen = []
        self._ended = False
        self._queue = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait(self, pattern):
        """The next line that matches; what came before is kept in `seen`."""
        while True:
            line = self._next(pattern)
            if line is None:
                raise AssertionError(f"the stream ended without {pattern!r}; it said: {self.seen[-50:]}")
            found = re.search(pattern, line)
            if found:
                return found

    def rest(self):
        """Everything up to the end of the stream."""
        while self._next("its end") is not None:
            pass
        return self.seen

    def _next(self, wanted):
        if self._ended:
            return None
        try:
            line = self._queue.get(timeout=HANG)
        except queue.Empty:
            raise AssertionError(f"no line like {wanted!r} came; before it: {self.seen[-50:]}") from None
        if line is None:
            self._ended = True
        else:
            self.seen.append(line)
        return line


def command(*arguments, **options):
    """Runs a tidemq command to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=HANG, check=False, **options
    )


class Broker:
    """`tidemq serve` on a free port, with its data in a folder of its own."""

    def __init__(self, *arguments, data=None, listen=True, env=None, shards=SHARDS):
        self._temp = None
        if data is None:
            self._temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
            data = self._temp.name
        self.data = Path(data)
        line = [BINARY, "serve", "--data", str(self.data), "--shards", str(shards), *arguments]
        if listen:
            line += ["--listen", "127.0.0.1:0"]
        environment = {**os.environ, **(env or {})}
        self.process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.out = Lines(self.process.stdout)
        self.log = Lines(self.process.stderr)
        self.host = "127.0.0.1"
        self.port = None
        self.websocket = None
        self.tls = None
        """`mqtts://` and the address of its listener with TLS."""
        self.secure_websocket = None
        self.packet_a_frame = None
        """The WebSocket listener whose frames hold one packet each."""

    @property
    def config(self):
        return self.data / "config.toml"

    def ready(self):
        """Waits until it says that it takes connections."""
        try:
            self.out.wait("^ready$")
        except AssertionError as error:
            self.process.kill()
            raise AssertionError(f"{error}; its log: {self.log.rest()}") from None
        for line in self.out.seen:
            if found := re.match(r"listening on tcp (.*):(\d+)$", line):
                self.port = int(found[2])
            elif found := re.match(r"listening on websocket (\S+)$", line):
                self.websocket = f"ws://{found[1]}"
            elif found := re.match(r"listening on tls (\S+)$", line):
                self.tls = f"mqtts://{found[1]}"
            elif found := re.match(r"listening on websocket\+tls (\S+)$", line):
                self.secure_websocket = f"wss://{found[1]}"
            elif found := re.match(r"listening on websocket (\S+) \(one packet a frame\)$", line):
                self.packet_a_frame = f"ws://{found[1]}"
        return self

    def edit(self, old, new):
        """Edits its configuration file, as a person would."""
        text = self.config.read_text()
        assert old in text, f"the test edits what is not there: {old}"
        self.config.write_text(text.replace(old, new))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for its end and returns the exit code."""
        return self.process.wait(timeout=HANG)

    def stop(self):
        """Stops it in order, checks that it did, and clears up."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            try:
                code = self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError(f"the broker did not stop; its log: {self.log.rest()}") from None
        finally:
            # Their readers come to the end of the streams, which ends their threads.
            self.out.rest()
            self.log.rest()
            self.process.stdout.close()
            self.process.stderr.close()
            if self._temp:
                self._temp.cleanup()
        if code != 0:
            raise AssertionError(f"the broker ended with {code}; its log: {self.log.rest()}")


class Elsewhere:
    """A broker that someone else started."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.host, self.port = host, int(port)

    def stop(self):
        pass


def start():
    """The broker for tests that fit any."""
    address = os.environ.get("E2E_BROKER")
    return Elsewhere(address) if address else Broker().ready()

"""Runs every client that others wrote through every check, and prints a table of who passed.

    python matrix.py [--only WORD ...]      words of a row: client, tcp, websocket, tls or wss, 3.1.1 or 5.0

`TIDEMQ` names the binary, `E2E_FOLDER` the folder that holds node_modules and the built client programs (default: the
folder above the binary's). `E2E_BROKER=tcp://HOST:PORT` and `E2E_WEBSOCKET=ws://HOST:PORT/PATH` run it against a
broker that already listens there; `E2E_PACKET_A_FRAME=ws://HOST:PORT/PATH` is where its frames hold one packet each,
`E2E_TLS=mqtts://HOST:PORT` and `E2E_SECURE_WEBSOCKET=wss://HOST:PORT/PATH` where it encrypts, and `E2E_CA` the file with
the authority to know it by.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import checks
from broker import BINARY, Broker, command
from checks import Cell
from chromium import Browser
from mosquitto import Mosquitto
from peers import Peer, Process

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("E2E_FOLDER", Path(BINARY).parent.parent))
SHARDS = 3
# Rows at a time: most of a row's time is spent waiting, for messages that expire among others.
AT_ONCE = 4

TCP, WEBSOCKET = "tcp", "websocket"
TLS, SECURE_WEBSOCKET = "tls", "wss"
PLAIN = TCP, WEBSOCKET
# The address for those who take a frame for a packet.
PACKET_A_FRAME = "websocket, one packet a frame"
# The file with the authority that encrypted addresses are known by.
CA = "ca"
VERSIONS = {4: "3.1.1", 5: "5.0"}


@dataclass
class Client:
    """One that others wrote."""

    name: str
    start: object
    """Makes a peer."""
    transports: tuple = PLAIN
    lacks: dict = field(default_factory=dict)
    """Checks that do not fit it, with the reason."""
    websocket: str = WEBSOCKET
    """Which of the addresses is its over WebSocket."""

    def why_not(self, check):
        return self.lacks.get(check)

    def url(self, transport, urls):
        return urls[self.websocket if transport == WEBSOCKET else transport]


@dataclass
class Row:
    client: Client
    transport: str
    version: int
    results: dict = field(default_factory=dict)
    """By QoS: a list of (check, error or None)."""
    itself: str = "?"
    seconds: float = 0.0

    @property
    def words(self):
        return [self.client.name, self.transport, VERSIONS[self.version]]

    def tls(self, urls):
        """The two versions of MQTT go over the two of TLS."""
        if self.transport in PLAIN:
            return {}
        return {"ca": urls[CA], "tls": "1.2" if self.version == 4 else None}


class Once:
    """Something that is made when it is first wanted, and not if it never is."""

    def __init__(self, make):
        self._make, self._made, self._lock = make, None, threading.Lock()

    def __call__(self):
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def close(self):
        if self._made is not None:
            self._made.close()


def python(program):
    return lambda: Peer(Process(sys.executable, HERE / program))


def paho_c():
    """Compiles the program, and returns where it is."""
    made = FOLDER / "e2e-paho-c"
    source = HERE / "c" / "paho.c"
    subprocess.run(["cc", "-std=gnu11", "-O1", "-Wall", "-o", made, source, "-lpaho-mqtt3a"], check=True)
    return made


def clients(browser, compiled):
    folder = str(FOLDER / "debug" / "examples" / "rumqttc-client")
    return [
        Client(
            "mosquitto",
            Mosquitto,
            (TCP, TLS),
            {
                checks.unsubscribes: "mosquitto_sub has no command for it",
                checks.anonymous: "mosquitto_sub and mosquitto_pub are two clients and tell no identifier",
                checks.aliases_in: "mosquitto_sub prints no topic for an alias",
                checks.shares: "mosquitto_sub cannot subscribe again",
            },
        ),
        Client("paho Python", python("drive_paho.py"), (*PLAIN, TLS, SECURE_WEBSOCKET)),
        Client(
            "gmqtt Python",
            python("drive_gmqtt.py"),
            (TCP,),
            {checks.anonymous: "the library invents an identifier"},
        ),
        Client(
            "paho C",
            lambda: Peer(Process(compiled())),
            # The library leaves what follows a packet in its frame unread until another frame comes.
            websocket=PACKET_A_FRAME,
        ),
        Client("rumqttc", lambda: Peer(Process(folder))),
        Client(
            "MQTT.js node",
            lambda: Peer(Process("node", HERE / "js" / "node.js", FOLDER / "e2e-js")),
            (*PLAIN, TLS, SECURE_WEBSOCKET),
        ),
        Client("MQTT.js page", lambda: Peer(browser().tab()), (WEBSOCKET,)),
    ]


class Pool:
    """The peers of a row. One that disconnected connects again in the next check."""

    def __init__(self, client):
        self._client = client
        self._free, self._taken = [], []
        self.version = "?"

    def take(self):
        peer = self._free.pop() if self._free else self._client.start()
        self._taken.append(peer)
        self.version = peer.version
        return peer

    def check_over(self, clean):
        """After a check: what it left connected is not used again."""
        for peer in self._taken:
            if clean and peer.usable:
                self._free.append(peer)
            else:
                peer.close()
        # A peer that was taken twice by one check stands in both places once.
        self._free = list(dict.fromkeys(self._free))
        self._taken = []

    def close(self):
        self.check_over(False)
        for peer in self._free:
            peer.close()


def observer(url):
    peer = python("drive_paho.py")()
    peer.connect(url, 5, "")
    return peer


def run_check(check, row, qos, urls, pool):
    """Returns what went wrong, or None."""
    base = f"matrix/{'-'.join(row.words).replace(' ', '-')}/{qos}/{check.__name__}"
    watcher = None
    try:
        watcher = observer(urls[TCP])
        cell = Cell(row.client.url(row.transport, urls), row.version, qos, base, watcher, pool.take, row.tls(urls))
        check(cell)
        error = None
    except Exception:
        error = traceback.format_exc(limit=-3)
    finally:
        if watcher:
            watcher.close()
    pool.check_over(error is None)
    return error


def run_row(row, urls):
    start, pool = time.monotonic(), Pool(row.client)
    wanted = checks.EVERY_VERSION + (checks.ONLY_5 if row.version == 5 else [])
    fitting = [check for check in wanted if not row.client.why_not(check)]
    try:
        for qos in range(3):
            row.results[qos] = [(check, run_check(check, row, qos, urls, pool)) for check in fitting]
    finally:
        row.itself = pool.version
        pool.close()
    row.seconds = time.monotonic() - start
    failed = sum(error is not None for results in row.results.values() for _, error in results)
    print(f"{' '.join(row.words)}: {failed} failed in {row.seconds:.0f} s", file=sys.stderr, flush=True)


def coloured(text, good):
    return f"\x1b[{32 if good else 31}m{text}\x1b[0m" if sys.stdout.isatty() else text


def show(rows):
    """Prints the table and what went wrong, and returns (passed, failed) checks."""
    passed = failed = 0
    print(f"{'client':14} {'of itself':18} {'transport':10} {'MQTT':6} {'QoS 0':10} {'QoS 1':10} {'QoS 2':10}  time")
    for row in rows:
        line = f"{row.client.name:14} {row.itself:18} {row.transport:10} {VERSIONS[row.version]:6} "
        for results in row.results.values():
            good = sum(error is None for _, error in results)
            passed, failed = passed + good, failed + len(results) - good
            text = f"{'ok' if good == len(results) else 'FAILED'} {good}/{len(results)}"
            line += coloured(f"{text:10} ", good == len(results))
        print(f"{line} {row.seconds:4.0f} s")
    for row in rows:
        for qos, results in row.results.items():
            for check, error in results:
                if error:
                    print(f"\n{' '.join(row.words)} QoS {qos}, {check.__name__}: {check.__doc__}\n{error}")
    reasons = {
        f"{row.client.name} {row.transport}: no {check.__name__}: {why}"
        for row in rows
        for check in checks.EVERY_VERSION + (checks.ONLY_5 if row.version == 5 else [])
        if (why := row.client.why_not(check))
    }
    print("\n".join(["", *sorted(reasons)]))
    return passed, failed


def addresses():
    """Starts the broker unless one is named: (what to stop, the addresses by transport)."""
    if "E2E_BROKER" in os.environ:
        named = {
            TCP: "E2E_BROKER",
            WEBSOCKET: "E2E_WEBSOCKET",
            PACKET_A_FRAME: "E2E_PACKET_A_FRAME",
            TLS: "E2E_TLS",
            SECURE_WEBSOCKET: "E2E_SECURE_WEBSOCKET",
            CA: "E2E_CA",
        }
        return None, {which: os.environ.get(name) for which, name in named.items()}
    url = "ws://127.0.0.1:0/mqtt"
    listen = [url, f"{url}?packets=one", "mqtts://127.0.0.1:0", "wss://127.0.0.1:0/mqtt"]
    broker = Broker(*(word for each in listen for word in ("--listen", each)), shards=SHARDS).ready()
    ca = broker.data / "ca.pem"
    done = command("ca", "export", "built-in", "--out", ca, "--data", broker.data)
    assert done.returncode == 0, done.stderr
    return broker, {
        TCP: f"tcp://{broker.host}:{broker.port}",
        WEBSOCKET: broker.websocket,
        PACKET_A_FRAME: broker.packet_a_frame,
        TLS: broker.tls,
        SECURE_WEBSOCKET: broker.secure_websocket,
        CA: ca,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="words that a row has to have")
    chosen = parser.parse_args().only
    broker, urls = addresses()
    browser, compiled = Once(lambda: Browser(FOLDER / "e2e-js")), Once(paho_c)
    rows = [
        Row(client, transport, version)
        for client in clients(browser, compiled)
        for transport in client.transports
        for version in VERSIONS
    ]
    rows = [row for row in rows if row.client.url(row.transport, urls) and all(word in " ".join(row.words) for word in chosen)]
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(run_row, row, urls) for row in rows]:
                done.result()
    finally:
        browser.close()
        if broker:
            broker.stop()
    passed, failed = show(rows)
    print(f"{len(rows) * 3} cells: {passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

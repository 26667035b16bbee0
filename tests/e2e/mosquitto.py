"""mosquitto_sub and mosquitto_pub as one peer of the matrix. Each subscription is a process, each publish another."""

import os
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from broker import HANG, Lines
from peers import Connected, Message

# A tab stands in no topic or property of the checks. Payloads come in hexadecimal digits.
FORMAT = "\t".join(["MSG", "%t", "%x", "%q", "%r", "%E", "%S", "%P"])
# What each durable identifier subscribed to: mosquitto_sub never connects without subscribing.
SESSIONS = {}


class Mosquitto:
    """What `Peer` is to the checks. mosquitto_sub subscribes as it connects: it connects when it is asked to."""

    def __init__(self):
        said = subprocess.run(["mosquitto_sub", "--help"], capture_output=True, text=True, check=False).stdout
        self.version = re.search(r"version (\S+) running", said)[1]
        self.usable = True
        self._reset()

    def _reset(self):
        self._last = None
        self._ends = False
        self._process = None
        self._out = None
        self._read = 0

    def connect(self, url, version, client_id, clean=True, expiry=None, alias_maximum=None, will=None, ca=None, tls=None):
        parts = urlsplit(url)
        protocol = "mqttv5" if version == 5 else "mqttv311"
        self._server = ["-h", parts.hostname, "-p", str(parts.port), "-V", protocol]
        self._server += ["--cafile", ca] if ca else []
        self._server += ["--tls-version", f"tlsv{tls}"] if tls else []
        self._durable = None if clean else client_id
        self._options = ["-i", client_id]
        if not clean:
            self._options += ["-c"]
        if expiry is not None:
            self._options += ["-x", str(expiry)]
        if alias_maximum:
            self._options += ["-D", "connect", "topic-alias-maximum", str(alias_maximum)]
        if will:
            topic, payload, qos, retain = will
            self._options += ["--will-topic", topic, "--will-payload", payload.decode(), "--will-qos", str(qos)]
            self._options += ["--will-retain"] if retain else []
        if will and clean:
            # A signal makes it publish its will in 5.0; so it is to end after a message.
            self._last = f"{client_id}/last"
            self._start(["-t", self._last, "-C", "1"])
        elif self._durable in SESSIONS:
            # What waits for it comes before its SUBACK.
            self._start(SESSIONS[client_id])
        # It tells neither whether there was a session nor the identifier that it was assigned.
        return Connected(None, None)

    def _start(self, subscription):
        command = ["stdbuf", "-oL", "mosquitto_sub", *self._server, *self._options, "-d", "-F", FORMAT, *subscription]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._out = Lines(self._process.stdout)
        # A refusal is told in words after the number: `Subscribed (mid: 1): 128`.
        code = int(self._out.wait(r"^Subscribed \(mid: \d+\): (\d+)")[1])
        self._ends = code >= 0x80
        return code

    def subscribe(self, topic_filter, qos, identifier=None):
        subscription = ["-t", topic_filter, "-q", str(qos)]
        if identifier is not None:
            subscription += ["-D", "subscribe", "subscription-identifier", str(identifier)]
        if self._durable:
            SESSIONS[self._durable] = subscription
        return self._start(subscription)

    def publish(self, topic, payload, qos, retain=False, **properties):
        self.publish_all(topic, [payload], qos, retain, **properties)

    def publish_all(self, topic, payloads, qos, retain=False, expiry=None, user=(), aliases=None):
        options = ["-q", str(qos)] + (["-r"] if retain else [])
        if aliases:
            # It sends the topic with the first of several messages only.
            topic, alias = aliases[0]
            options += ["-D", "publish", "topic-alias", str(alias)]
        for key, value in user:
            options += ["-D", "publish", "user-property", key, value]
        if expiry is not None:
            options += ["-D", "publish", "message-expiry-interval", str(expiry)]
        if len(payloads) == 1:
            options += ["-s"] if payloads[0] else ["-n"]
            text = payloads[0]
        else:
            options += ["-l"]
            text = b"".join(payload + b"\n" for payload in payloads)
        done = subprocess.run(
            ["mosquitto_pub", *self._server, "-t", topic, *options],
            input=text,
            capture_output=True,
            timeout=HANG,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), done

    def message(self):
        while True:
            while self._read == len(self._out.seen):
                self._out.wait("")
            line = self._out.seen[self._read]
            self._read += 1
            if line.startswith("MSG\t"):
                return read_message(line)

    def disconnect(self):
        if self._last:
            self.publish(self._last, b"end", 1)
            self._finish()
        elif self._process:
            # SIGTERM is how a person ends it: it sends DISCONNECT. Refused every filter, it does so unasked.
            if not self._ends:
                self._await_rest()
                self._process.terminate()
            self._finish()

    def cut(self):
        self.usable = False
        self._process.kill()
        self._finish()

    def close(self):
        self.usable = False
        if self._process:
            self._process.kill()
            self._finish()

    def _await_rest(self):
        """Returns once it sleeps until something arrives.

        Its handler of signals sends DISCONNECT, for which it takes locks: of a process with one thread that holds one of
        them at that moment, it would wait for ever.
        """
        deadline = time.monotonic() + HANG
        while state(self._process.pid) != "S":
            assert time.monotonic() < deadline, "mosquitto_sub does not come to rest"
            os.sched_yield()

    def _finish(self):
        self._process.wait(timeout=HANG)
        self._out.rest()
        self._process.stdout.close()
        self._reset()


def state(pid):
    """Its state, as proc(5) names it. What stands before may hold anything, but no parenthesis after the last one."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def read_message(line):
    topic, payload, qos, retain, expiry, identifiers, user = line.split("\t")[1:]
    return Message(
        topic,
        bytes.fromhex(payload),
        int(qos),
        retain == "1",
        int(expiry) if expiry else None,
        sorted(int(each) for each in identifiers.split()),
        [tuple(each.split(":", 1)) for each in user.split()],
    )

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
        command = ["mosquitto_pub", *self._server, "-t", topic, *options]
        if len(payloads) == 1:
            done = subprocess.run(
                [*command, "-s" if payloads[0] else "-n"],
                input=payloads[0],
                capture_output=True,
                timeout=HANG,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, b""), done
        else:
            publish_lines(command, payloads, qos)

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
                # Its handler of signals takes locks: if the interrupted thread holds one of them, it waits for ever.
                await_rest(self._process.pid)
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

    def _finish(self):
        self._process.wait(timeout=HANG)
        self._out.rest()
        self._process.stdout.close()
        self._reset()


def publish_lines(command, payloads, qos):
    """Publishes each from one connection, as a line of its input.

    It compares, without a lock, the last identifier it read with the last that was sent, in two threads: if its input
    ends while the last message is under way, both may miss it, and it never disconnects. So its input ends later.
    """
    done = ["sending PUBLISH", "received PUBACK", "received PUBCOMP"][qos]
    pipe = subprocess.PIPE
    with subprocess.Popen(["stdbuf", "-oL", *command, "-d", "-l"], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as run:
        try:
            out, errors = Lines(run.stdout), Lines(run.stderr)
            for payload in payloads:
                run.stdin.write(payload.decode() + "\n")
            run.stdin.flush()
            for _ in payloads:
                out.wait(done)
            await_rest(run.pid)
            run.stdin.close()
            assert (run.wait(timeout=HANG), errors.rest()) == (0, []), (run.returncode, errors.seen, out.seen)
            out.rest()
        finally:
            run.kill()


def await_rest(pid):
    """Returns once each thread of a process sleeps until something arrives, the first one all the while."""
    deadline = time.monotonic() + HANG
    while True:
        main, *others = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda each: int(each.name))
        before = slept(main)
        if before and all(slept(each) for each in others) and slept(main) == before:
            return
        assert time.monotonic() < deadline, "the client does not come to rest"
        os.sched_yield()


def slept(task):
    """How many times it has gone to sleep, or None while it does not sleep: as proc(5) names it."""
    fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
    return fields["voluntary_ctxt_switches"] if fields["State"].startswith("S") else None


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

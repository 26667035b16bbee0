"""One client that others wrote, seen by the checks: the same calls whatever it is and wherever it runs."""

import queue
import subprocess
from dataclasses import dataclass, field

from broker import HANG, Lines
from words import Words, written


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry: int | None = None
    identifiers: list = field(default_factory=list)
    user: list = field(default_factory=list)

    @property
    def core(self):
        """What every version has."""
        return self.topic, self.payload, self.qos, self.retain


@dataclass
class Connected:
    session_present: bool | None
    """None: the client does not say."""
    assigned: str | None


class Process:
    """A client program; its lines go both ways over its standard streams."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._out = Lines(self._process.stdout)
        self._errors = Lines(self._process.stderr)

    def write(self, line):
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(f"the client ended: {self._errors.rest()[-20:]}") from None

    def read(self):
        """The next line; None at the end."""
        try:
            return self._out.wait("").string
        except AssertionError:
            if self._process.poll() is None:
                raise
            return None

    def cut(self):
        """What runs in it ends with it."""
        self._process.kill()

    def close(self):
        self._process.kill()
        self._process.wait(timeout=HANG)
        for lines in [self._out, self._errors]:
            lines.rest()
        for stream in [self._process.stdin, self._process.stdout, self._process.stderr]:
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def complaint(self):
        return self._errors.rest()[-20:] if self._process.poll() is not None else []


class Peer:
    """One client behind a channel of lines. After `cut` it is of no further use."""

    def __init__(self, channel):
        self._channel = channel
        self._messages = queue.SimpleQueue()
        self.usable = True
        self.version = self._answer("hello").text("version")

    def connect(self, url, version, client_id, clean=True, expiry=None, alias_maximum=None, will=None, **tls):
        """Connects. `will` is (topic, payload, qos, retain); `tls` are `ca`, `certificate` and `tls`, as in `words`."""
        fields = {key: value for key, value in tls.items() if value}
        if will:
            fields |= zip(["will_topic", "will_payload", "will_qos", "will_retain"], will, strict=True)
        self._write(
            "connect",
            url=url,
            version=version,
            id=client_id,
            clean=clean,
            expiry=expiry,
            alias_maximum=alias_maximum,
            **fields,
        )
        answer = self._answer("connected")
        return Connected(answer.flag("session-present"), answer.text("assigned"))

    def attempt(self, url, version, client_id, **options):
        """Connects and leaves again; `None`, or what the client says why it could not."""
        self._write("connect", url=url, version=version, id=client_id, clean=True, **options)
        line = self._channel.read()
        assert line is not None, f"the client ended: {self._channel.complaint()}"
        words = Words(line)
        if words.verb == "refused":
            return words.text("why", "")
        assert words.verb == "connected", words
        self.disconnect()
        return None

    def subscribe(self, topic_filter, qos, identifier=None):
        """Subscribes and returns the reason code of the SUBACK."""
        self._write("subscribe", filter=topic_filter, qos=qos, identifier=identifier)
        return self._answer("subscribed").number("reason")

    def unsubscribe(self, topic_filter):
        self._write("unsubscribe", filter=topic_filter)
        self._answer("unsubscribed")

    def publish(self, topic, payload, qos, retain=False, **properties):
        """Publishes and waits until the hand-shake of its QoS is complete."""
        self.publish_all(topic, [payload], qos, retain, **properties)

    def publish_all(self, topic, payloads, qos, retain=False, expiry=None, user=(), aliases=None):
        """Publishes one after the other; `aliases` are theirs: (topic or nothing, alias)."""
        for number, payload in enumerate(payloads):
            name, alias = aliases[number] if aliases else (topic, None)
            pairs = [f"{key}:{value}" for key, value in user]
            self._write(
                "publish", topic=name, payload=payload, qos=qos, retain=retain, expiry=expiry, alias=alias, user=pairs
            )
        for _ in payloads:
            self._answer("published")

    def message(self):
        """The next message."""
        while self._messages.empty():
            self._read("a message")
        return self._messages.get()

    def disconnect(self):
        """Ends the connection in order; the peer may connect again."""
        self._write("disconnect")
        self._answer("disconnected")
        # Nobody asked for what else came.
        self._messages = queue.SimpleQueue()

    def cut(self):
        """Ends the connection without DISCONNECT."""
        self.usable = False
        self._channel.cut()

    def close(self):
        self.usable = False
        self._channel.close()

    def _write(self, verb, **fields):
        self._channel.write(written(verb, **fields))

    def _answer(self, verb):
        while True:
            words = self._read(verb)
            if words is not None:
                assert words.verb == verb, f"{words!r} where {verb} was expected"
                return words

    def _read(self, wanted):
        """Reads a line: keeps a message, returns anything else."""
        line = self._channel.read()
        if line is None:
            raise AssertionError(f"the client ended before {wanted}: {self._channel.complaint()}")
        words = Words(line)
        if words.verb == "message":
            self._messages.put(read_message(words))
            return None
        assert words.verb not in ("problem", "refused"), f"{words!r} where {wanted} was expected"
        return words


def read_message(words):
    return Message(
        words.text("topic"),
        words.data("payload"),
        words.number("qos"),
        words.flag("retain"),
        words.number("expiry"),
        sorted(map(int, words.all("identifier"))),
        words.pairs("user"),
    )

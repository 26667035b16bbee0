"""gmqtt (Python, a protocol implementation of its own) as a client program of the matrix; see `words`."""

import asyncio
import importlib.metadata
import logging
import sys
from urllib.parse import urlsplit

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.storage import PersistentStorage

from words import Words, written

# It reports its own state as warnings.
logging.disable(logging.CRITICAL)


def say(verb, **fields):
    sys.stdout.write(written(verb, **fields) + "\n")
    sys.stdout.flush()


def present(**values):
    return {name: value for name, value in values.items() if value not in (None, [])}


class Program:
    def __init__(self):
        self.client = None
        self.unacknowledged = None
        self.reasons = asyncio.Queue()
        self.flags = None
        self.ended = None

    async def connect(self, line):
        url = urlsplit(line.text("url"))
        will = None
        if line.text("will-topic"):
            will = gmqtt.Message(
                line.text("will-topic"),
                line.data("will-payload"),
                line.number("will-qos"),
                line.flag("will-retain"),
            )
        self.unacknowledged = PersistentStorage()
        five = line.number("version") == 5
        wanted = present(
            session_expiry_interval=line.number("expiry"), topic_alias_maximum=line.number("alias-maximum")
        )
        self.client = gmqtt.Client(
            line.text("id"),
            clean_session=line.flag("clean"),
            will_message=will,
            persistent_storage=self.unacknowledged,
            **(wanted if five else {}),
        )
        self.client.set_config({"reconnect_retries": 0})
        self.ended = asyncio.Event()
        self.client.on_connect = self.connected
        self.client.on_message = self.message
        self.client.on_subscribe = lambda _c, _mid, reasons, _p: self.reasons.put_nowait(reasons[0])
        self.client.on_unsubscribe = lambda _c, _mid, reasons: self.reasons.put_nowait(0)
        self.client.on_disconnect = lambda *_: self.ended.set()
        await self.client.connect(url.hostname, url.port, version=MQTTv50 if five else MQTTv311)

    def connected(self, _client, flags, reason, _properties):
        if reason:
            say("refused", why=reason)
        else:
            say("connected", session_present=flags & 1)

    def message(self, _client, topic, payload, qos, props):
        say(
            "message",
            topic=topic,
            payload=bytes(payload),
            qos=qos,
            retain=bool(props["retain"]),
            expiry=props.get("message_expiry_interval", [None])[0],
            identifier=props.get("subscription_identifier", []),
            user=[f"{key}:{value}" for key, value in props.get("user_property", [])],
        )
        return 0

    async def subscribe(self, line):
        options = present(subscription_identifier=line.number("identifier"))
        self.client.subscribe(line.text("filter"), qos=line.number("qos"), **options)
        say("subscribed", reason=await self.reasons.get())

    async def unsubscribe(self, line):
        self.client.unsubscribe(line.text("filter"))
        await self.reasons.get()
        say("unsubscribed")

    async def publish(self, line):
        props = present(
            message_expiry_interval=line.number("expiry"),
            topic_alias=line.number("alias"),
            user_property=line.pairs("user"),
        )
        self.client.publish(
            line.text("topic"), line.data("payload"), line.number("qos"), line.flag("retain"), **props
        )
        await self.unacknowledged.wait_empty()
        say("published")

    async def disconnect(self, _line):
        await self.client.disconnect()
        await self.ended.wait()
        say("disconnected")


async def main():
    loop = asyncio.get_running_loop()
    # A payload of the checks is one line.
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say("hello", version=importlib.metadata.version("gmqtt"))
    program = Program()
    while text := await lines.readline():
        line = Words(text.decode().rstrip("\n"))
        await getattr(program, line.verb)(line)


asyncio.run(main())

"""What every client of the matrix has to see of the broker. Each check is a function of a `Cell`.

The client under test talks to `cell.observer`, a paho of 5.0 over TCP, so that no client is judged by itself alone.
"""

import time
from dataclasses import dataclass, field

# More than one read of a socket, and more than one frame of a WebSocket for most libraries.
LARGE = bytes(range(256)) * 1200
# More levels than the broker takes: it refuses the subscription, and no library looks.
TOO_DEEP = 200
TOPIC_FILTER_INVALID = 0x8F
FAILURE_311 = 0x80
# The whole seconds of a lifetime of 1 s are over after less than two, however a broker counts them.
ONE_SECOND_EXPIRED = 2.1
LASTING = 600


@dataclass
class Cell:
    """One client on one transport with one version at one QoS."""

    url: str
    version: int
    qos: int
    base: str
    observer: object
    make: object
    """Makes a peer of the client under test, not connected yet."""
    tls: dict = field(default_factory=dict)
    """What it needs to know of TLS to connect: `ca`, and `tls` for the version if it is not the newest."""

    def topic(self, *levels):
        return "/".join([self.base, *levels])

    def peer(self, name, **options):
        """A peer under test that is connected."""
        peer = self.make()
        connected = peer.connect(self.url, self.version, self.topic(name), **options, **self.tls)
        assert connected.session_present in (False, None), "a session of nobody's"
        return peer

    def durable(self, name, **options):
        """The connection of a session that lasts, and its peer."""
        peer = self.make()
        if self.version == 5:
            options["expiry"] = 3600
        return peer, peer.connect(self.url, self.version, self.topic(name), clean=False, **options, **self.tls)


def same(found, expected, what="message"):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def subscribes(cell):
    """It hears what is published at every QoS, at the lower of the two [MQTT-3.8.4-8]."""
    subscriber = cell.peer("sub")
    same(subscriber.subscribe(cell.topic("s", "+"), cell.qos), cell.qos, "granted QoS")
    for qos in range(3):
        for payload in [f"at {qos}".encode(), b""]:
            topic = cell.topic("s", f"grüße-{qos}")
            cell.observer.publish(topic, payload, qos)
            same(subscriber.message().core, (topic, payload, min(qos, cell.qos), False))
    subscriber.disconnect()


def publishes(cell):
    """Others hear what it publishes, at the QoS at which it did."""
    publisher, topic = cell.peer("pub"), cell.topic("p", "grüße")
    same(cell.observer.subscribe(topic, 2), 2, "granted QoS")
    for payload in [b"one", b"two", bytes(range(256))]:
        publisher.publish(topic, payload, cell.qos)
        same(cell.observer.message().core, (topic, payload, cell.qos, False))
    publisher.disconnect()


def unsubscribes(cell):
    """After UNSUBACK nothing more comes [MQTT-3.10.4-2]."""
    subscriber = cell.peer("unsub")
    for tail in "ab":
        same(subscriber.subscribe(cell.topic("u", tail), cell.qos), cell.qos, "granted QoS")
    subscriber.unsubscribe(cell.topic("u", "a"))
    for tail in "ab":
        cell.observer.publish(cell.topic("u", tail), b"x", 2)
    same(subscriber.message().topic, cell.topic("u", "b"))
    subscriber.disconnect()


def many(cell):
    """A burst arrives whole and in order [MQTT-4.6.0-6], from the client to itself."""
    subscriber, publisher = cell.peer("many-sub"), cell.peer("many-pub")
    subscriber.subscribe(cell.topic("many"), cell.qos)
    payloads = [str(number).encode() for number in range(200)]
    publisher.publish_all(cell.topic("many"), payloads, cell.qos)
    for payload in payloads:
        same(subscriber.message().core, (cell.topic("many"), payload, cell.qos, False))
    subscriber.disconnect()
    publisher.disconnect()


def large(cell):
    """A payload of hundreds of kilobytes passes unaltered, both ways."""
    subscriber, publisher = cell.peer("large-sub"), cell.peer("large-pub")
    subscriber.subscribe(cell.topic("large"), cell.qos)
    publisher.publish(cell.topic("large"), LARGE, cell.qos)
    message = subscriber.message()
    same((message.topic, len(message.payload), message.payload == LARGE), (cell.topic("large"), len(LARGE), True))
    subscriber.disconnect()
    publisher.disconnect()


def retained(cell):
    """What it retains comes to those who subscribe later, until it is cleared [MQTT-3.3.1-5, -6]."""
    publisher, topic = cell.peer("retainer"), cell.topic("r", "kept")
    # At QoS 0 only another's hearing it tells that it has arrived.
    cell.observer.subscribe(topic, 2)
    publisher.publish(topic, b"kept", cell.qos, retain=True)
    same(cell.observer.message().payload, b"kept")
    late = cell.peer("late")
    late.subscribe(cell.topic("r", "#"), cell.qos)
    same(late.message().core, (topic, b"kept", cell.qos, True))
    publisher.publish(topic, b"", cell.qos, retain=True)
    # The one that clears is forwarded like any other.
    same(late.message().core, (topic, b"", cell.qos, False))
    later = cell.peer("later")
    later.subscribe(cell.topic("r", "#"), cell.qos)
    publisher.publish(topic, b"fence", cell.qos)
    for peer in [late, later]:
        same(peer.message().core, (topic, b"fence", cell.qos, False))
    for peer in [publisher, late, later]:
        peer.disconnect()


def will(cell):
    """Its will arrives when its connection ends without DISCONNECT, and not after one [MQTT-3.1.2-8, -10]."""
    topic = cell.topic("will")
    same(cell.observer.subscribe(topic, 2), 2, "granted QoS")
    polite = cell.peer("polite", will=(topic, b"never", cell.qos, False))
    polite.disconnect()
    broken = cell.peer("broken", will=(topic, b"gone", cell.qos, True))
    broken.cut()
    same(cell.observer.message().core, (topic, b"gone", cell.qos, False))
    heir = cell.peer("heir")
    heir.subscribe(topic, cell.qos)
    same(heir.message().core, (topic, b"gone", cell.qos, True))
    heir.disconnect()
    cell.observer.publish(topic, b"", 1, retain=True)


def resumes(cell):
    """Its session goes on: what was published meanwhile at QoS 1 and 2 arrives, without a new SUBSCRIBE."""
    first, connected = cell.durable("durable")
    assert not connected.session_present, "a session of nobody's"
    first.subscribe(cell.topic("d"), cell.qos)
    first.disconnect()
    payloads = [str(number).encode() for number in range(50)]
    if cell.qos > 0:
        cell.observer.publish_all(cell.topic("d"), payloads, cell.qos)
    second, connected = cell.durable("durable")
    assert connected.session_present in (True, None), "the session is gone"
    if cell.qos == 0:
        # A broker need not keep those of QoS 0, but the subscription stands.
        cell.observer.publish_all(cell.topic("d"), payloads, 0)
    for payload in payloads:
        same(second.message().core, (cell.topic("d"), payload, cell.qos, False))
    second.disconnect()
    # It ends when a clean connection says so.
    clean = cell.peer("durable")
    clean.disconnect()


def refused(cell):
    """A subscription that the broker does not take is told, with its reason in 5.0."""
    subscriber = cell.peer("refused")
    code = subscriber.subscribe("/".join(["x"] * TOO_DEEP), cell.qos)
    same(code, TOPIC_FILTER_INVALID if cell.version == 5 else FAILURE_311, "reason code")
    subscriber.disconnect()


def anonymous(cell):
    """A client without an identifier is given one and, in 5.0, told which [MQTT-3.2.2-16]."""
    peer = cell.make()
    connected = peer.connect(cell.url, cell.version, "", **cell.tls)
    if cell.version == 5:
        assert connected.assigned, "it was not told"
    peer.subscribe(cell.topic("anonymous"), cell.qos)
    peer.publish(cell.topic("anonymous"), b"me", cell.qos)
    same(peer.message().payload, b"me")
    peer.disconnect()


def user_properties(cell):
    """They pass unaltered and in order [MQTT-3.3.2-17, -18], out of the client and into it."""
    pairs, topic = [("first", "1"), ("zweite", "grün"), ("third", "c")], cell.topic("user")
    cell.observer.subscribe(topic, 2)
    publisher, subscriber = cell.peer("user-pub"), cell.peer("user-sub")
    subscriber.subscribe(topic, cell.qos)
    publisher.publish(topic, b"x", cell.qos, user=pairs)
    for peer in [cell.observer, subscriber]:
        message = peer.message()
        same((message.qos, message.user), (cell.qos, pairs))
    publisher.disconnect()
    subscriber.disconnect()


def expires(cell):
    """A message whose time is over does not arrive; another says how much is left [MQTT-3.3.2-5, -6]."""
    topic = cell.topic("expiry")
    publisher = cell.peer("expiry-pub")
    if cell.qos == 0:
        # Retained: at QoS 0 nothing need be kept for a session. Only another's hearing it tells that it has arrived.
        cell.observer.subscribe(f"{topic}/+", 2)
        publisher.publish(f"{topic}/a", b"over", 0, retain=True, expiry=1)
        publisher.publish(f"{topic}/b", b"lasting", 0, retain=True, expiry=LASTING)
        # Of two topics either may come first.
        same(sorted(cell.observer.message().payload for _ in range(2)), [b"lasting", b"over"])
        time.sleep(ONE_SECOND_EXPIRED)
        subscriber = cell.peer("expiry-sub")
        subscriber.subscribe(f"{topic}/+", 0)
    else:
        # The will tells when the broker has seen the end of the connection: until then it may begin to deliver what
        # would expire.
        gone = cell.topic("expiry-gone")
        cell.observer.subscribe(gone, 2)
        subscriber, _ = cell.durable("expiry-sub", will=(gone, b"gone", 1, False))
        subscriber.subscribe(f"{topic}/+", cell.qos)
        subscriber.cut()
        same(cell.observer.message().payload, b"gone")
        publisher.publish(f"{topic}/a", b"over", cell.qos, expiry=1)
        publisher.publish(f"{topic}/b", b"lasting", cell.qos, expiry=LASTING)
        time.sleep(ONE_SECOND_EXPIRED)
        subscriber, _ = cell.durable("expiry-sub")
    message = subscriber.message()
    same(message.core, (f"{topic}/b", b"lasting", cell.qos, cell.qos == 0))
    assert 0 < message.expiry < LASTING, f"{message.expiry} s are left"
    subscriber.disconnect()
    publisher.publish(f"{topic}/b", b"", cell.qos, retain=True)
    publisher.disconnect()


def identifiers(cell):
    """A message names the subscription that it came by [MQTT-3.3.4-3]."""
    subscriber = cell.peer("identifier")
    same(subscriber.subscribe(cell.topic("i", "#"), cell.qos, identifier=300), cell.qos, "granted QoS")
    cell.observer.publish(cell.topic("i", "x"), b"x", 2)
    message = subscriber.message()
    same((message.qos, message.identifiers), (cell.qos, [300]))
    subscriber.disconnect()


def aliases_out(cell):
    """It publishes under a topic alias, with the topic in the first packet alone."""
    topic = cell.topic("alias", "out")
    cell.observer.subscribe(topic, 2)
    publisher = cell.peer("alias-pub")
    payloads = [b"named", b"by alias", b"again"]
    publisher.publish_all(topic, payloads, cell.qos, aliases=[(topic, 1), ("", 1), ("", 1)])
    for payload in payloads:
        same(cell.observer.message().core, (topic, payload, cell.qos, False))
    publisher.disconnect()


def aliases_in(cell):
    """It allows the broker topic aliases, and sees the right topics whether or not the broker uses them."""
    topics = [cell.topic("alias", str(number)) for number in range(4)]
    subscriber = cell.peer("alias-sub", alias_maximum=2)
    subscriber.subscribe(cell.topic("alias", "+"), cell.qos)
    for _ in range(3):
        for topic in topics:
            cell.observer.publish(topic, b"x", 2)
            same(subscriber.message().core, (topic, b"x", cell.qos, False))
    subscriber.disconnect()


def shares(cell):
    """Of two that share a subscription one hears each message, and an outsider hears them all."""
    topic = cell.topic("shared")
    cell.observer.subscribe(topic, 2)
    members = [cell.peer(f"member{number}") for number in range(2)]
    for member in members:
        same(member.subscribe(f"$share/group/{topic}", cell.qos), cell.qos, "granted QoS")
    payloads = [str(number).encode() for number in range(40)]
    publisher = cell.peer("share-pub")
    publisher.publish_all(topic, payloads, cell.qos)
    same([cell.observer.message().payload for _ in payloads], payloads)
    # Each member then hears the same topic by a subscription of its own: all of its share comes before that.
    got = []
    for member in members:
        member.subscribe(topic, cell.qos)
    cell.observer.publish(topic, b"end", 2)
    for member in members:
        while (message := member.message()).payload != b"end":
            same(message.qos, cell.qos, "QoS")
            got.append(message.payload)
    same(sorted(got, key=int), payloads)
    for peer in [*members, publisher]:
        peer.disconnect()


EVERY_VERSION = [subscribes, publishes, unsubscribes, many, large, retained, will, resumes, refused, anonymous]
ONLY_5 = [user_properties, expires, identifiers, aliases_out, aliases_in, shares]

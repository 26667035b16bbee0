"""mosquitto_pub and mosquitto_sub (Debian's) against the broker, with both versions of the protocol."""

import itertools
import os
import subprocess
import unittest

import broker
from broker import HANG, Lines

BROKER = None
NUMBERS = itertools.count()


def setUpModule():
    global BROKER
    BROKER = broker.start()


def tearDownModule():
    BROKER.stop()


def line(program, version, *arguments):
    return [program, "-h", BROKER.host, "-p", str(BROKER.port), "-V", version, *map(str, arguments)]


class Subscriber:
    """A mosquitto_sub that has its SUBACK. Its messages are lines `MSG topic qos retain payload`."""

    def __init__(self, version, *arguments):
        # Its standard output is a pipe: without stdbuf it would keep its lines to itself.
        every = ["stdbuf", "-oL", *line("mosquitto_sub", version, "-d", "-F", "MSG %t %q %r %p", *arguments)]
        self.process = subprocess.Popen(every, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.out = Lines(self.process.stdout)
        self._read = 0
        # Messages of a resumed session come before its SUBACK: they stay in `seen`.
        self.out.wait(r"^Subscribed")

    def message(self):
        """(topic, qos, retain, payload)"""
        while True:
            while self._read == len(self.out.seen):
                self.out.wait("")
            line = self.out.seen[self._read]
            self._read += 1
            if line.startswith("MSG "):
                topic, qos, retain, payload = line.split(" ", 4)[1:]
                return topic, int(qos), retain == "1", payload

    def end(self):
        """Waits for its own end (after -C messages) and returns the exit code."""
        return self.process.wait(timeout=HANG)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=HANG)
        self.out.rest()


class Common:
    version = None

    def setUp(self):
        self.base = f"mosquitto/{self.version}/{os.getpid()}/{next(NUMBERS)}"
        self.subscribers = []

    def tearDown(self):
        for subscriber in self.subscribers:
            subscriber.kill()
            subscriber.process.stdout.close()

    def subscribe(self, *arguments):
        made = Subscriber(self.version, *arguments)
        self.subscribers.append(made)
        return made

    def publish(self, topic, *arguments, **options):
        # Returns when the hand-shake of the QoS is complete.
        done = subprocess.run(
            line("mosquitto_pub", self.version, "-t", topic, *arguments),
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
            **options,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def durable(self, *arguments):
        # 5.0 sessions end with their connection unless told otherwise.
        lasting = ["-x", 3600] if self.version == "mqttv5" else []
        return ["-c", "-i", f"{self.base}/durable", *lasting, *arguments]

    def test_every_pair_of_qos(self):
        for granted in range(3):
            topic = f"{self.base}/{granted}"
            subscriber = self.subscribe("-t", topic, "-q", granted)
            for qos in range(3):
                self.publish(topic, "-m", f"at-{qos}", "-q", qos)
                self.assertEqual(subscriber.message(), (topic, min(qos, granted), False, f"at-{qos}"))

    def test_retained(self):
        topic = f"{self.base}/r"
        self.publish(topic, "-m", "kept", "-q", 1, "-r")
        self.assertEqual(self.subscribe("-t", f"{self.base}/#", "-q", 1).message(), (topic, 1, True, "kept"))
        self.publish(topic, "-n", "-q", 1, "-r")
        cleared = self.subscribe("-t", f"{self.base}/#", "-q", 1)
        self.publish(topic, "-m", "fence", "-q", 1)
        self.assertEqual(cleared.message(), (topic, 1, False, "fence"))

    def test_wildcards(self):
        plus = self.subscribe("-t", f"{self.base}/+/x", "-q", 1)
        hash_ = self.subscribe("-t", f"{self.base}/#", "-q", 1)
        for tail in ["a/x", "a/y", "b/x"]:
            self.publish(f"{self.base}/{tail}", "-m", tail, "-q", 1)
        self.assertEqual([plus.message()[3] for _ in range(2)], ["a/x", "b/x"])
        self.assertEqual([hash_.message()[3] for _ in range(3)], ["a/x", "a/y", "b/x"])

    def test_will(self):
        topic = f"{self.base}/will"
        watcher = self.subscribe("-t", topic, "-q", 1)
        will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", 1]
        self.subscribe("-t", f"{self.base}/other", *will).kill()
        self.assertEqual(watcher.message(), (topic, 1, False, "gone"))

    def test_a_persistent_session_is_resumed(self):
        topic = f"{self.base}/s"
        subscribing = self.subscribe(*self.durable("-t", topic, "-q", 2, "-E"))
        self.assertEqual(subscribing.end(), 0)
        for number in range(10):
            self.publish(topic, "-m", number, "-q", 1 + number % 2)
        resumed = self.subscribe(*self.durable("-t", topic, "-q", 2, "-C", 10))
        got = [resumed.message() for _ in range(10)]
        # The order holds for each QoS: a message of QoS 2 is delivered when its hand-shake ends.
        for qos in [1, 2]:
            numbers = [int(payload) for _, granted, _, payload in got if granted == qos]
            self.assertEqual(numbers, list(range(qos - 1, 10, 2)), f"QoS {qos}")
        self.assertEqual(resumed.end(), 0)

    def test_a_stream_of_lines_arrives_whole_and_in_order_at_every_qos(self):
        count = 3000
        text = "".join(f"{number}\n" for number in range(count))
        for qos in range(3):
            topic = f"{self.base}/{qos}"
            subscriber = self.subscribe("-t", topic, "-q", qos, "-C", count)
            self.publish(topic, "-l", "-q", qos, input=text)
            got = [int(subscriber.message()[3]) for _ in range(count)]
            self.assertEqual(got, list(range(count)), f"QoS {qos}")
            self.assertEqual(subscriber.end(), 0)


class Version311(Common, unittest.TestCase):
    version = "mqttv311"


class Version5(Common, unittest.TestCase):
    version = "mqttv5"

    def test_properties_pass(self):
        topic = f"{self.base}/p"
        subscriber = self.subscribe("-t", topic, "-q", 1, "-F", "MSG %t %q %r %P|%C|%R|%p")
        sent = ["content-type", "text/plain"], ["response-topic", "back"], ["user-property", "k", "v"]
        self.publish(topic, "-m", "x", "-q", 1, *(word for each in sent for word in ["-D", "publish", *each]))
        self.assertEqual(subscriber.message()[3], "k:v|text/plain|back|x")


if __name__ == "__main__":
    unittest.main()

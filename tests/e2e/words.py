"""The lines in which the matrix of clients talks to a client program, whatever language it is written in.

A line is a verb and `key=value` words with percent-encoded values; a key may come several times. A payload is in
hexadecimal digits. The program obeys one line after the other and answers each:

    connect url= version=4|5 id= clean=0|1 [expiry= alias-maximum= receive-maximum=]
        [will-topic= will-payload= will-qos= will-retain=0|1]
        [ca=FILE certificate=FILE tls=1.2]              TLS: whom to trust, what to show (key, certificate and chain in
                                                        one file), and the version if it is not the newest
                                  -> connected session-present=0|1 [assigned=], or refused why=
    subscribe filter= qos= [identifier=]            -> subscribed reason=
    unsubscribe filter=                             -> unsubscribed
    publish topic= payload= qos= retain=0|1 [expiry= alias= user=key:value...]
                                                    -> published, when the hand-shake of its QoS is complete
    disconnect                                      -> disconnected; the next line is another connect
    cut         ends the connection without DISCONNECT: answers `cut`, or ends itself

It begins with `hello version=`, its library's own, and says in between

    message topic= payload= qos= retain=0|1 [expiry= identifier=... user=key:value...]
    problem why=                                    what nobody expects: the test fails
"""

from urllib.parse import quote, unquote


def written(verb, **fields):
    """A line, without its end. Lists become several words, None none, truth 1 or 0; `_` in a key is `-`."""
    words = [verb]
    for key, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                text = each.hex() if isinstance(each, bytes) else str(int(each) if isinstance(each, bool) else each)
                words.append(f"{key.replace('_', '-')}={quote(text, safe='/:')}")
    return " ".join(words)


class Words:
    """A line that was read."""

    def __init__(self, line):
        self.verb, *words = line.split(" ")
        self._fields = {}
        for word in words:
            key, _, value = word.partition("=")
            self._fields.setdefault(key, []).append(unquote(value))

    def all(self, key):
        return self._fields.get(key, [])

    def text(self, key, default=None):
        return self.all(key)[0] if self.all(key) else default

    def number(self, key, default=None):
        value = self.text(key)
        return default if value is None else int(value)

    def flag(self, key):
        return self.number(key, 0) == 1

    def data(self, key):
        return bytes.fromhex(self.text(key, ""))

    def pairs(self, key):
        return [tuple(each.split(":", 1)) for each in self.all(key)]

    def __repr__(self):
        return f"{self.verb} {self._fields}"

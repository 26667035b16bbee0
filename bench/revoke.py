#!/usr/bin/env python3
"""Revoking under load: how soon the revoked client is gone, and what the other clients on its shard notice of it.

    cargo build --release --workspace
    bench/revoke.py                         # both cases, all variants, five rounds: 9 minutes
    bench/revoke.py --case p2p --rounds 9 --variant quiet --variant revoke
    bench/revoke.py --rounds 1 --duration 3 --clients 50     # one minute: does it work?

One shard on one core, a listener that requires client certificates, and a load in an open loop by TLS, each of whose
clients has a certificate of its own. Beside it some victims, each connected by TLS 1.2 and by TLS 1.3 and subscribed to
one topic of the load. Spread over the run, one victim after the other is dealt with as the variant says, and then
comes back at once, twice by each version: with its TLS session, and by a fresh handshake.

    quiet    nothing happens; the victims come back and must be let in, the first time by a resumed session
    revoke   `tidemq cert client revoke FILE --apply`: the victim's connections must end, and it must not come back
    rules    `tidemq rules add|remove ... --apply` every 200 ms all the time; the victims are let in
    check    `tidemq config check` every 200 ms, which applies nothing: what commands by themselves cost the machine

A round runs every variant once per case, each against a broker of its own; who begins changes from round to round. Of
the latencies (end to end, from when a message was due) the medians over the rounds are shown, and ratios taken inside a
round, with their quartiles in brackets: quote these. "late" is the p99 by which the generator itself sent late: where
it comes near the p99 beside it, that one is the machine's and not the broker's. The commands run at nice 19, on a core
of their own where there are three. Their time is counted from start to end of the process; what happened before a
command's answer is shown as negative.

Exit code: 0, or 1 if a revoked client stayed or came back, another one was not let in, or a message was lost. No time
makes it fail.
"""
import argparse, collections, json, os, shutil, socket, ssl, statistics, subprocess, sys, tempfile, threading, time

from started import PATIENCE, Started, quartiles

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
TIDEMQ, LOAD = (os.path.join(TARGET, "release", name) for name in ("tidemq", "tidemq-load"))
CORES = sorted(os.sched_getaffinity(0))
BROKER_CORE, LOAD_CORE, OWN_CORE = (CORES[min(n, len(CORES) - 1)] for n in range(3))

VARIANTS = ["quiet", "revoke", "rules", "check"]
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
TICK = 0.2     # between two Applies of rules
WARMUP = 2     # seconds of load before anything is recorded
LATENCIES = ["p50", "p99", "p99_9", "max", "late"]
LET_IN, RESUMED = "let in", ", resumed"


def load_of(case, options):
    """The scenario of tidemq-load, and a topic of it."""
    if case == "fanout":
        return ["fanout", "--subscribers", str(options.clients), "--rate", str(options.fanout_rate)], "load/fan/0"
    return ["p2p", "--pairs", str(options.clients // 2), "--rate", str(options.p2p_rate)], "load/p2p/0"


def tidemq(folder, *words):
    """Runs a command on the data directory; when it began and ended."""
    began = time.monotonic()
    done = subprocess.run(["nice", "-n", "19", TIDEMQ, *words, "--data", folder], capture_output=True, text=True)
    ended = time.monotonic()
    if done.returncode:
        sys.exit(f"tidemq {' '.join(words)}: exit code {done.returncode}: {done.stderr or done.stdout}")
    return began, ended


def prepare(options, base):
    """A data directory with an authority, rules and certificates; each run takes a copy."""
    data, clients, victims = (os.path.join(base, name) for name in ("data", "clients", "victims"))
    os.mkdir(clients)
    os.mkdir(victims)
    began = time.monotonic()
    tidemq(data, "ca", "create", "--name", "bench", "--use")
    tidemq(data, "ca", "export", "bench", "--out", os.path.join(base, "ca.pem"))
    for folder, name, many in ((clients, "client", options.clients), (victims, "victim", options.victims)):
        for n in range(many):
            tidemq(data, "ca", "issue", "--name", f"{name}{n}", "--pem", os.path.join(folder, f"{name}{n}.pem"))
    tidemq(data, "rules", "add", "everything", "--access", "read-write")
    for path, value in (("enabled", "true"), ("listener[0].tls", "true"), ("certificates.require", "true")):
        tidemq(data, "config", "set", path, value)
    print(f"{options.clients + options.victims} certificates in {time.monotonic() - began:.1f} s", file=sys.stderr)


class Broker(Started):
    """A broker of one shard on a copy of the data directory, for as long as the `with` block lasts."""

    def __init__(self, base):
        super().__init__()
        self.data = os.path.join(self.folder.name, "data")
        shutil.copytree(os.path.join(base, "data"), self.data)
        tidemq(self.data, "config", "set", "listener[0].address", f"127.0.0.1:{self.port}")
        self.start(BROKER_CORE, [TIDEMQ, "serve", "--data", self.data, "--shards", "1", "--cores", str(BROKER_CORE)])


def field(data):
    return len(data).to_bytes(2, "big") + data


def packet(first, body):
    """An MQTT packet of less than 128 bytes."""
    return bytes([first, len(body)]) + body


def read_packet(stream):
    """The first byte of the next packet, and what is behind its length; None at the end."""
    first, length, shift = stream.read(1), 0, 0
    while first:
        byte = stream.read(1)[0]
        length, shift = length | (byte & 127) << shift, shift + 7
        if byte < 128:
            return first[0], stream.read(length)
    return None


class Connection:
    """A client by TLS that speaks MQTT 5.0: `refused` says why it did not get in, if it did not."""

    def __init__(self, context, port, name, session=None):
        self.tls, self.resumed, self.refused = None, False, None
        try:
            plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
            self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
            self.resumed = self.tls.session_reused
            self.stream = self.tls.makefile("rb")
            self.tls.sendall(packet(0x10, field(b"MQTT") + b"\x05\x02\0\0\0" + field(name.encode())))
            answer = read_packet(self.stream)
            if answer is None:
                self.refused = "closed"
            elif answer[1][1]:
                self.refused = f"CONNACK 0x{answer[1][1]:02x}"
        except ssl.SSLError as e:
            self.refused = (e.reason or str(e)).lower().replace("_", " ")
        except OSError as e:
            self.refused = type(e).__name__

    def outcome(self):
        return f"{self.refused or LET_IN}{RESUMED if self.resumed else ''}"

    def close(self):
        if self.tls:
            self.tls.close()


class Victim:
    """One certificate, connected by one version of TLS."""

    def __init__(self, base, number, version, port, topic):
        self.name, self.version, self.port = f"victim{number}-{version}", version, port
        self.context = ssl.create_default_context(cafile=os.path.join(base, "ca.pem"))
        self.context.minimum_version = self.context.maximum_version = VERSIONS[version]
        self.context.load_cert_chain(certificate_of(base, number))
        self.connection = Connection(self.context, port, self.name)
        if self.connection.refused:
            sys.exit(f"{self.name} did not get in: {self.connection.outcome()}")
        self.session = self.connection.tls.session
        self.first, self.ended = threading.Event(), threading.Event()
        self.reason, self.ended_at = None, None
        self.connection.tls.settimeout(None)
        self.connection.tls.sendall(packet(0x82, b"\0\1\0" + field(topic.encode()) + b"\0"))
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """Reads until the connection ends, whoever ends it."""
        try:
            while (found := read_packet(self.connection.stream)) is not None:
                if found[0] >> 4 == 3:
                    self.first.set()
                elif found[0] == 0xe0:
                    self.reason = f"DISCONNECT 0x{found[1][0] if found[1] else 0:02x}"
        except (OSError, ValueError, IndexError) as e:
            self.reason = self.reason or type(e).__name__
        self.ended_at = time.monotonic()
        self.ended.set()

    def come_back(self):
        """With the TLS session, and without: what became of each."""
        outcomes = []
        for session in (self.session, None):
            again = Connection(self.context, self.port, f"{self.name}-again", session)
            outcomes.append(again.outcome())
            again.close()
        return tuple(outcomes)

    def leave(self):
        """Ends the connection, if it is still there, without waiting for the thread that reads from it."""
        try:
            self.connection.tls.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.ended.wait(PATIENCE)
        self.connection.close()


def certificate_of(base, number):
    return os.path.join(base, "victims", f"victim{number}.pem")


def commands_until(moment, variant, data, row):
    """Applies rules, or checks the configuration, every 200 ms until the moment; otherwise only waits."""
    while variant in ("rules", "check") and time.monotonic() < moment - TICK:
        tick = time.monotonic() + TICK
        if variant == "check":
            began, ended = tidemq(data, "config", "check", os.path.join(data, "config.toml"))
        elif row["rules"] % 2:
            began, ended = tidemq(data, "rules", "remove", "extra", "--apply")
        else:
            began, ended = tidemq(data, "rules", "add", "extra", "--at", "1", "--access", "deny", "--client", "nobody",
                                  "--topic", "nothing/#", "--apply")
        row["rules"] += variant == "rules"
        row["commands"].append(ended - began)
        time.sleep(max(0, tick - time.monotonic()))
    time.sleep(max(0, moment - time.monotonic()))


def revoke(base, number, victims, data, row):
    began, answered = tidemq(data, "cert", "client", "revoke", certificate_of(base, number), "--apply")
    row["commands"].append(answered - began)
    for victim in victims:
        if victim.ended.wait(PATIENCE):
            row["ends"].append((victim.version, victim.ended_at - began, victim.ended_at - answered, victim.reason))
        else:
            row["wrong"].append(f"{victim.name} was still connected {PATIENCE} s after it was revoked")


def disturb(base, variant, options, broker, victims, row):
    """What the variant does while the load runs. It begins when the load does, which a victim sees."""
    if not victims[0][0].first.wait(3 * PATIENCE):
        row["wrong"].append("no load came")
        return
    start = time.monotonic() + WARMUP
    for n, pair in enumerate(victims):
        commands_until(start + options.duration * (n + 0.5) / options.victims, variant, broker.data, row)
        if variant == "revoke":
            revoke(base, n, pair, broker.data, row)
        for victim in pair:
            outcomes = victim.come_back()
            row["back"].append((victim.version, *outcomes))
            row["wrong"] += [f"{victim.name} came back: {outcome}" for outcome in outcomes
                             if outcome.startswith(LET_IN) == (variant == "revoke")]
            if variant != "revoke" and not outcomes[0].endswith(RESUMED):
                row["wrong"].append(f"{victim.name} could not resume its session: {outcomes[0]}")
    commands_until(start + options.duration, variant, broker.data, row)
    for victim in sum(victims, []):
        if variant != "revoke" and victim.ended.is_set():
            row["wrong"].append(f"{victim.name} was disconnected: {victim.reason}")
        victim.leave()


def run(base, case, variant, options):
    row = {"commands": [], "rules": 0, "ends": [], "back": [], "wrong": []}
    with Broker(base) as broker:
        scenario, topic = load_of(case, options)
        victims = [[Victim(base, n, version, broker.port, topic) for version in VERSIONS]
                   for n in range(options.victims)]
        out = os.path.join(broker.folder.name, "load.json")
        command = [LOAD, *scenario, "--duration", f"{options.duration}s", "--warmup", f"{WARMUP}s", "--prefix", "load",
                   "--broker", f"mqtts://127.0.0.1:{broker.port}", "--ca", os.path.join(base, "ca.pem"), "--cert-dir",
                   os.path.join(base, "clients"), "--cores", str(LOAD_CORE), "--strict", "--quiet", "--json", out]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        disturb(base, variant, options, broker, victims, row)
        said, _ = load.communicate()
        if not os.path.exists(out):
            row["wrong"].append(f"no load: {said.strip().splitlines()[-1:]}")
            return row
        with open(out) as f:
            report = json.load(f)
    row["wrong"] += report["problems"] + list(report["failures"])
    row["notes"] = report["notes"]
    row["lost"] = sum(m["lost"] for m in report["messages"])
    phases = {latency["phase"]: latency for latency in report["latencies"]}
    if "end_to_end" in phases:
        row |= {name: phases["end_to_end"][f"{name}_ns"] / 1e6 for name in LATENCIES[:-1]}
        row["late"] = phases["lag"]["p99_ns"] / 1e6
    return row


def ms(seconds):
    return f"{statistics.median(seconds) * 1e3:.1f} ms (longest {max(seconds) * 1e3:.1f})" if seconds else "-"


def of_latency(cases, variants, rows):
    """Of the load: medians over the rounds, and the ratios to the first variant."""
    base = variants[0]
    print(f"\n{'case':7} {'variant':8} {'rounds':>6} {'p50 ms':>8} {'p99 ms':>8} {'p99.9 ms':>8} {'max ms':>8} "
          f"{'late ms':>8} {'p99 to ' + base:>23} {'p99.9 to ' + base:>23} {'lost':>5}  commands")
    for case in cases:
        for variant in variants:
            both = [(r[variant, case], r[base, case]) for r in rows]
            good = [mine for mine, _ in both if "p99" in mine]
            if not good:
                print(f"{case:7} {variant:8} failed: {both[0][0]['wrong']}")
                continue
            ratio = [quartiles([mine[key] / its[key] for mine, its in both if key in mine and its.get(key)] or [0])
                     for key in ("p99", "p99_9")]
            median = [statistics.median(r[name] for r in good) for name in LATENCIES]
            commands = sum((r["commands"] for r in good), [])
            print(f"{case:7} {variant:8} {len(good):6} {''.join(f'{m:8.2f} ' for m in median)}"
                  f"{ratio[0]:>23} {ratio[1]:>23} {sum(r['lost'] for r in good):5}  "
                  f"{len(commands)}: {ms(commands)}")


def of_victims(cases, variants, rows):
    """What became of the victims, over all cases and rounds."""
    for variant in variants:
        mine = [r[variant, case] for r in rows for case in cases]
        print()
        for version in VERSIONS:
            ends = [e for r in mine for e in r["ends"] if e[0] == version]
            back = [b for r in mine for b in r["back"] if b[0] == version]
            if ends:
                print(f"{variant}, TLS {version}: {how_often(e[3] for e in ends)}: "
                      f"ended {ms([e[1] for e in ends])} after the start of the command, "
                      f"{ms([e[2] for e in ends])} after its answer")
            print(f"{variant}, TLS {version}: came back with its session: {how_often(b[1] for b in back)}; "
                  f"by a fresh handshake: {how_often(b[2] for b in back)}")


def how_often(outcomes):
    return ", ".join(f"{n} x {what}" for what, n in collections.Counter(outcomes).most_common())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=["p2p", "fanout"], help="only these cases")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only these; ratios are to the first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=10, help="seconds of load that are measured [10]")
    parser.add_argument("--clients", type=int, default=500, help="of the load, each with its certificate [500]")
    parser.add_argument("--victims", type=int, default=5, help="in a run, one after the other [5]")
    parser.add_argument("--p2p-rate", type=float, default=4000, help="messages a second [4000]")
    parser.add_argument("--fanout-rate", type=float, default=20, help="messages a second to all clients [20]")
    options = parser.parse_args()
    cases, variants, rows = options.case or ["p2p", "fanout"], options.variant or VARIANTS, []
    os.sched_setaffinity(0, {OWN_CORE})
    with tempfile.TemporaryDirectory() as base:
        prepare(options, base)
        for number in range(options.rounds):
            row = {}
            for case in cases:
                for variant in reversed(variants) if number % 2 else variants:
                    found = row[variant, case] = run(base, case, variant, options)
                    shown = {name: round(found[name], 3) for name in [*LATENCIES, "lost"] if name in found}
                    print(f"round {number + 1} {case} {variant}: {shown} {len(found['commands'])} commands "
                          f"{found.get('notes') or ''} {found['wrong'] or ''}", file=sys.stderr)
            rows.append(row)
    of_latency(cases, variants, rows)
    of_victims(cases, variants, rows)
    wrong = [f"{case} {variant}: {what}" for row in rows for (variant, case), r in row.items() for what in r["wrong"]]
    print("".join(f"\nWRONG {what}" for what in wrong))
    sys.exit(1 if wrong else 0)


main()

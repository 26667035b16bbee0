#!/usr/bin/env python3
"""Apply under load: what hundreds of Applies cost clients whom they do not concern.

    cargo build --release --workspace
    bench/apply_load.py                                 # 1,000 Applies, 2,000 clients, three rounds: 12 minutes
    bench/apply_load.py --rounds 1 --applies 30 --clients 200 --duration 6     # does it work?

Half of the clients publish at QoS 1 in an open loop, each to one of the others. A round runs the same load twice, each
time against a broker of its own; who begins changes from round to round:

    quiet    nothing happens
    apply    one Apply after the other, spread evenly over the load, by the socket of the data directory: by turns a topic
             rule is put in front of the others, a client certificate is listed as revoked, a user is added, a listener is
             opened - and the next time around each of them is taken back

Topic rules apply and are asked for each message. Of the latencies (end to end, from when a message was due) the medians
over the rounds are shown, and of p99 the ratio to quiet within a round, with its quartiles: quote this. "late" is the p99
by which the generator itself sent late; where that is near the p99 beside it, the machine is the limit. "answer" is how
long an Apply took to be answered. Whoever asks for the Applies stands back behind generator and broker: it is an operator's
program, and not what is measured.

`TIDEMQ` and `TIDEMQ_LOAD` name the binaries [the release builds].
Exit code: 0, or 1 if a message was lost, a client was lost, or an Apply was refused. With `--most-p99 1.5` also if the
median of that ratio is larger.
"""
import argparse, json, os, socket, statistics, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

from started import Started, quartiles

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
TIDEMQ = os.environ.get("TIDEMQ", os.path.join(TARGET, "release", "tidemq"))
LOAD = os.environ.get("TIDEMQ_LOAD", os.path.join(TARGET, "release", "tidemq-load"))
CORES = sorted(os.sched_getaffinity(0))
BROKER_CORE, LOAD_CORE = (CORES[min(n, len(CORES) - 1)] for n in range(2))

VARIANTS = ["quiet", "apply"]
LATENCIES = ["p50", "p99", "p99_9", "max", "late"]
WARMUP = 2
PATIENCE = 30
PASSWORD = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY$" + "A" * 43

# What is added and taken back by turns; `{n}` is another number each time.
PIECES = {
    "rule": '\n[[rule]]\nname = "extra {n}"\naccess = "deny"\nclient_match = "specific"\nclient = "nobody {n}"\n'
    'topic_match = "specific"\ntopic = "nothing/{n}/#"\n',
    "certificate": '\n[[client_certificate]]\nname = "extra {n}"\nthumbprint = "{n:064x}"\nstatus = "revoked"\n',
    "user": f'\n[[user]]\nname = "extra {{n}}"\npassword = "{PASSWORD}"\n',
    "listener": '\n[[listener]]\nprotocol = "tcp"\naddress = "127.0.0.1:0"\n',
}


class Local:
    """HTTP by the socket of a data directory, with as little work as can be: the load runs beside it."""

    def __init__(self, data):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(os.path.join(data, "control.sock"))

    def ask(self, method, path, body, kind):
        """Status and body of the answer."""
        head = (f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        self.socket.sendall(head.encode() + body)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more()
        head, _, got = got.partition(b"\r\n\r\n")
        length = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(got) < sum(length):
            got += self.more()
        return int(head.split()[1]), got

    def more(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise EOFError("the broker closed the control socket")
        return got


class Broker(Started):
    """A broker of one shard whose rules apply."""

    def __init__(self):
        super().__init__()
        self.data = os.path.join(self.folder.name, "data")
        os.mkdir(self.data, 0o700)
        fresh = subprocess.run([TIDEMQ, "config", "show", "--fresh"], capture_output=True, text=True, check=True).stdout
        fresh = fresh.replace("enabled = false", "enabled = true", 1).replace("127.0.0.1:1883", f"127.0.0.1:{self.port}")
        # Taken as it is, and never rewritten.
        fresh = fresh.replace("generation = 0\n", "").replace('apply = "certificates"', 'apply = "always"')
        self.front, self.back = fresh, '\n[[rule]]\nname = "all"\naccess = "read-write"\nclient_match = "all"\n'
        self.back += 'topic_match = "all"\n'
        path = os.path.join(self.data, "config.toml")
        with open(path, "w") as f:
            f.write(self.front + self.back)
        os.chmod(path, 0o600)
        command = [TIDEMQ, "serve", "--data", self.data, "--shards", "1", "--cores", str(BROKER_CORE), "--admin", "off"]
        self.start(BROKER_CORE, command)


def applies(broker, process, options, row):
    """One Apply after the other while the load runs."""
    os.setpriority(os.PRIO_PROCESS, 0, 10)  # of this thread alone
    there, kinds, answers = {}, list(PIECES), []
    connection, begin = Local(broker.data), time.monotonic() + WARMUP
    for number in range(options.applies):
        time.sleep(max(0, begin + options.duration * number / options.applies - time.monotonic()))
        if process.poll() is not None:
            break
        kind = kinds[number % len(kinds)]
        if kind in there:
            del there[kind]
        else:
            there[kind] = PIECES[kind].format(n=number + 1)
        text = broker.front + "".join(there.values()) + broker.back
        for method, path, body, content in (
            ("PUT", "/config/draft/text", text.encode(), "application/toml"),
            ("POST", "/apply", b"{}", "application/json"),
        ):
            began = time.monotonic()
            status, answer = connection.ask(method, path, body, content)
            if status not in (200, 204):
                row["wrong"].append(f"{path}: {status} {answer.decode()[:300]}")
                return
        row["answers"].append(time.monotonic() - began)
        answers.append(answer)
    for report in map(json.loads, answers):
        if (report.get("installed") or {}).get("clients_disconnected"):
            row["wrong"].append(f"an Apply disconnected clients: {report['summary']}")


def run(variant, options):
    row = {"answers": [], "wrong": []}
    with Broker() as broker:
        out = os.path.join(broker.folder.name, "load.json")
        command = [LOAD, "p2p", "--pairs", str(options.clients // 2), "--qos", "1", "--rate", str(options.rate),
                   "--duration", f"{options.duration}s", "--warmup", f"{WARMUP}s", "--broker", f"127.0.0.1:{broker.port}",
                   "--cores", str(LOAD_CORE), "--strict", "--quiet", "--json", out]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if variant == "apply":
            with ThreadPoolExecutor(1) as asking:
                asking.submit(applies, broker, load, options, row).result()
            if not row["answers"]:
                row["wrong"].append("no Apply was made while the load ran")
        said, _ = load.communicate()
        if not os.path.exists(out):
            row["wrong"].append(f"no load: {said.strip().splitlines()[-3:]}")
            return row
        with open(out) as f:
            report = json.load(f)
    row["wrong"] += report["problems"] + list(report["failures"])
    row["notes"] = report["notes"]
    row["lost"] = sum(m["lost"] for m in report["messages"])
    row["received"] = sum(m["expected"] - m["lost"] for m in report["messages"])
    if row["lost"]:
        row["wrong"].append(f"{row['lost']} messages were lost")
    phases = {latency["phase"]: latency for latency in report["latencies"]}
    if "end_to_end" in phases:
        row |= {name: phases["end_to_end"][f"{name}_ns"] / 1e6 for name in LATENCIES[:-1]}
        row["late"] = phases["lag"]["p99_ns"] / 1e6
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--applies", type=int, default=1000, help="in a run [1000]")
    parser.add_argument("--clients", type=int, default=2000, help="half of them publish [2000]")
    parser.add_argument("--duration", type=float, default=100, help="seconds of load that are measured [100]")
    parser.add_argument("--rate", type=float, default=2000, help="messages a second, over all publishers [2000]")
    parser.add_argument("--most-p99", type=float, default=None, help="fail if the median ratio of p99 is larger")
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        row = {}
        for variant in reversed(VARIANTS) if number % 2 else VARIANTS:
            found = row[variant] = run(variant, options)
            shown = {name: round(found[name], 3) for name in [*LATENCIES, "lost"] if name in found}
            print(f"round {number + 1} {variant}: {shown} {len(found['answers'])} Applies {found.get('notes') or ''} "
                  f"{found['wrong'] or ''}", file=sys.stderr)
        rounds.append(row)
    print(f"{'variant':8} {'received':>9} {'lost':>5} {'p50 ms':>8} {'p99 ms':>8} {'p99.9 ms':>9} {'max ms':>8} {'late ms':>8}"
          f"  Applies, answer ms (median, longest)")
    for variant in VARIANTS:
        good = [row[variant] for row in rounds if "p99" in row[variant]]
        if not good:
            continue
        medians = [statistics.median(row[name] for row in good) for name in LATENCIES]
        answers = [1e3 * answer for row in good for answer in row["answers"]]
        told = f"{len(answers)}, {statistics.median(answers):.1f}, {max(answers):.1f}" if answers else "-"
        print(f"{variant:8} {sum(row['received'] for row in good):9} {sum(row['lost'] for row in good):5} "
              f"{medians[0]:8.2f} {medians[1]:8.2f} {medians[2]:9.2f} {medians[3]:8.2f} {medians[4]:8.2f}  {told}")
    ratios = [row["apply"]["p99"] / row["quiet"]["p99"] for row in rounds if all("p99" in row[v] for v in VARIANTS)]
    wrong = [f"{variant}: {what}" for row in rounds for variant in VARIANTS for what in row[variant]["wrong"]]
    if ratios:
        print(f"p99 to quiet: {quartiles(ratios)}")
        if options.most_p99 is not None and statistics.median(ratios) > options.most_p99:
            wrong.append(f"the ratio of p99 is more than {options.most_p99}")
    print("".join(f"WRONG {what}\n" for what in wrong), end="")
    sys.exit(1 if wrong else 0)


main()

"""What the benches share: a broker for as long as a `with` block lasts, a free port, and how ratios are written."""
import os, socket, statistics, subprocess, sys, tempfile, time

PATIENCE = 20  # seconds after which something that should happen counts as not happening


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def quartiles(ratios):
    """The median, and between which values the middle half lies."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return f"{middle:.3f} [{low:.3f}..{high:.3f}]"


class Started:
    """A broker on a free port and a core; its folder goes with it. Whoever makes one calls `start`."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()

    def start(self, core, command):
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        command = ["taskset", "-c", str(core), *command]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def __enter__(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.log.seek(0)
        sys.exit(f"the broker did not start: {self.log.read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()
        self.folder.cleanup()

"""MQTT.js in a page: headless Chromium, driven over its debugging pipe. Each client is a tab of its own."""

import functools
import http.server
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from broker import HANG

HERE = Path(__file__).parent / "js"
# Without the later ones it looks for hosts of its maker's at every start.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    # Tabs in the background are not slowed down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--remote-debugging-pipe",
]


def program():
    for name in ["chromium", "chromium-browser", "google-chrome"]:
        if path := shutil.which(name):
            return path
    raise AssertionError("no Chromium is installed")


class Pages:
    """A server of the page, its driver and the library's bundle, as a web site would have them."""

    def __init__(self, modules):
        bundle = Path(modules) / "node_modules" / "mqtt" / "dist" / "mqtt.min.js"
        self._files = {
            "/": (HERE / "page.html", "text/html"),
            "/driver.js": (HERE / "driver.js", "text/javascript"),
            "/mqtt.min.js": (bundle, "text/javascript"),
        }
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, self._files))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    def __init__(self, files, *arguments):
        self._files = files
        super().__init__(*arguments)

    def do_GET(self):
        if self.path not in self._files:
            self.send_error(404)
            return
        path, kind = self._files[self.path]
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Browser:
    """A Chromium. Commands and events are JSON texts that a NUL ends, on its descriptors 3 and 4."""

    def __init__(self, modules):
        self._pages = Pages(modules)
        self._profile = tempfile.TemporaryDirectory(prefix="tidemq-chromium-", ignore_cleanup_errors=True)
        reads, self._write_end = os.pipe()
        self._read_end, writes = os.pipe()
        # The shell puts the two descriptors where Chromium expects them.
        script = f'exec "$@" 3<&{reads} 4>&{writes}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "-", program(), *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[reads, writes],
        )
        os.close(reads)
        os.close(writes)
        self._numbers = itertools.count(1)
        self._answers = {}
        self._tabs = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        self.version = self.call("Browser.getVersion")["product"].split("/")[-1]

    def call(self, method, session=None, **parameters):
        """Calls a method of its protocol and returns what it answers."""
        number = next(self._numbers)
        box = queue.SimpleQueue()
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        with self._lock:
            self._answers[number] = box
            self._send(json.dumps(message).encode() + b"\0")
        try:
            answer = box.get(timeout=HANG)
        except queue.Empty:
            raise AssertionError(f"Chromium does not answer {method}") from None
        assert "result" in answer, (method, answer)
        return answer["result"]

    def _send(self, data):
        while data:
            data = data[os.write(self._write_end, data) :]

    def tab(self):
        """A new tab with the page in it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        with self._lock:
            self._tabs[session] = tab
        for method in ["Runtime.enable", "Page.enable"]:
            self.call(method, session)
        self.call("Runtime.addBinding", session, name="spoken")
        self.call("Page.navigate", session, url=self._pages.url)
        return tab

    def _listen(self):
        rest = b""
        while data := os.read(self._read_end, 1 << 16):
            *whole, rest = (rest + data).split(b"\0")
            for text in whole:
                self._take(json.loads(text))
        for tab in self._tabs.values():
            tab.lines.put(None)

    def _take(self, message):
        if "id" in message:
            with self._lock:
                self._answers.pop(message["id"]).put(message)
            return
        tab = self._tabs.get(message.get("sessionId"))
        if tab is None:
            return
        if message["method"] == "Runtime.bindingCalled":
            tab.lines.put(message["params"]["payload"])
        elif message["method"] == "Runtime.exceptionThrown":
            tab.errors.append(message["params"]["exceptionDetails"])
            tab.lines.put(None)

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=HANG)
        os.close(self._write_end)
        self._pages.close()
        self._profile.cleanup()


class Tab:
    """The channel of a peer that lives in a page."""

    def __init__(self, browser, target, session):
        self._browser, self._target, self._session = browser, target, session
        self.lines = queue.SimpleQueue()
        self.errors = []
        self._open = True

    def write(self, line):
        self._browser.call("Runtime.evaluate", self._session, expression=f"hear({json.dumps(line)})")

    def read(self):
        try:
            return self.lines.get(timeout=HANG)
        except queue.Empty:
            raise AssertionError("the page is silent") from None

    def cut(self):
        """Somebody closes the tab."""
        self.close()

    def close(self):
        if self._open:
            self._open = False
            self._browser.call("Target.closeTarget", targetId=self._target)

    def complaint(self):
        return self.errors

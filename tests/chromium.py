"""A browser for tests: Chromium without a window, driven over a pair of pipes by a few lines of its own protocol.

Messages are JSON, each ended by a zero byte; the browser reads file descriptor 3 and writes 4. No package is needed.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio", "--disable-dev-shm-usage",
)  # fmt: skip


class Chromium:
    """One page of one browser."""

    def __init__(self, folder):
        (low_reads, self._out), (self._in, low_writes) = os.pipe(), os.pipe()
        # Above 4, or one would be replaced by the other when a shell puts them where the browser looks for them.
        reads, writes = (fcntl.fcntl(pipe, fcntl.F_DUPFD, 10) for pipe in (low_reads, low_writes))
        program = ["sh", "-c", f'exec "$0" "$@" 3</dev/fd/{reads} 4>/dev/fd/{writes}', PROGRAM, *_QUIET]
        self._process = subprocess.Popen(
            [*program, "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"], pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for pipe in (low_reads, low_writes, reads, writes):
            os.close(pipe)
        self._sent, self._rest, self._session, self.events = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._out)
            os.close(self._in)

    def call(self, method, **parameters):
        """Send one command, and return what it answers; what the page tells meanwhile goes to `events`."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._in, 1 << 20)
                assert part, "the browser is gone"
                self._rest += part
            line, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") != self._sent:
                self.events.append(answer)
                continue
            assert "error" not in answer, (method, answer["error"])
            return answer["result"]

    def open(self, url, width=1200, height=900, dark=False, scripts=True):
        """Go to a page and wait until it is read."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.look(width, height, dark)
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def look(self, width=1200, height=900, dark=False):
        """Set the window's size and the reader's taste."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        taste = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=taste)

    def value(self, expression):
        """What an expression is, of plain values."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, seconds=30):
        """Wait until an expression is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)
        return found

    def painted(self):
        """Wait until what was asked for is on the screen."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def press(self, x, y, kind="left"):
        """Click somewhere."""
        for what in ("Pressed", "Released"):
            self.mouse(what, x, y, button=kind, clickCount=1, buttons=1 if what == "Pressed" else 0)

    def drag(self, x, y, dx, dy):
        """Press, move and release."""
        self.mouse("Pressed", x, y, button="left", clickCount=1, buttons=1)
        for share in (0.5, 1.0):
            self.mouse("Moved", x + share * dx, y + share * dy, button="left", buttons=1)
        self.mouse("Released", x + dx, y + dy, button="left", clickCount=1)

    def screenshot(self):
        """The window as the bytes of a PNG file."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def complaints(self):
        """What the page wrote to the console, threw, or was refused."""
        loud = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
        return [event for event in self.events if event["method"] in loud]

    def requests(self):
        """The addresses that the page asked for, itself among them."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

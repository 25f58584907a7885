"""One tab of a headless Chromium, spoken to over its DevTools protocol: open an address, ask it, take its picture.

Protocol: https://chromedevtools.github.io/devtools-protocol (Target, Page, Runtime, Emulation), over a WebSocket.
"""

import base64
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from topmast.errors import PrerequisiteError, TopmastError

SECONDS = 30.0
# A picture of a long dashboard is some megabytes of base64.
_MAX_BYTES = 64 * 1024 * 1024
_ADDRESS = re.compile(rb"DevTools listening on (ws://\S+)")
_OPTIONS = (
    "--headless=new",
    # Chromium refuses to run as root with its sandbox; it opens our own page and nothing else.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)


@dataclass
class Tab:
    """A tab; every call waits for its answer. Raises TopmastError with the browser's words."""

    socket: ClientConnection
    session: str = ""
    _number: int = 0
    complaints: list[str] = field(default_factory=list)
    """What the page wrote to its console as an error, and exceptions that nobody caught."""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return what the browser answers to one command."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        self.socket.send(json.dumps(asked | ({"sessionId": self.session} if self.session else {})))
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                told = json.loads(self.socket.recv(timeout=max(0.1, deadline - time.monotonic())))
            except TimeoutError as error:
                raise TopmastError(f"chromium: no answer to {method} in {SECONDS:.0f} s") from error
            if told.get("id") == self._number:
                break
            self._listen(told)
        if "error" in told:
            raise TopmastError(f"chromium: {method}: {told['error'].get('message')}")
        result: dict[str, Any] = told["result"]
        return result

    def open(self, url: str) -> None:
        """Go to an address. Raises TopmastError when nothing answers there."""
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise TopmastError(f"{url}: {failed}")

    def ask(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited when it is a promise."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise TopmastError(f"chromium: {told['exceptionDetails'].get('text')}: {script[:80]}")
        return told["result"].get("value")

    def wait(self, script: str, seconds: float) -> bool:
        """Return whether the expression became true in so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.ask(script):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """Ask for `dark` or `light` colours, as the system's setting does."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])

    def _listen(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description") or details.get("text")))
        elif told.get("method") == "Runtime.consoleAPICalled" and params.get("type") == "error":
            self.complaints.append(
                " ".join(str(each.get("value", each.get("description"))) for each in params["args"])
            )


@contextmanager
def open_tab(chromium: Path, width: int = 1600, height: int = 1000) -> Iterator[Tab]:
    """Start the browser with one empty tab, and end both. Raises PrerequisiteError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="topmast-chromium-", ignore_cleanup_errors=True) as profile:
        said = Path(profile) / "stderr"
        with said.open("wb") as out:
            process = subprocess.Popen(
                [
                    str(chromium),
                    *_OPTIONS,
                    f"--window-size={width},{height}",
                    f"--user-data-dir={profile}",
                    "about:blank",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=out,
            )
        try:
            with connect(_address(process, said), max_size=_MAX_BYTES, compression=None) as socket:
                tab = Tab(socket)
                target = tab.call("Target.createTarget", url="about:blank")["targetId"]
                tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
                for domain in ("Page", "Runtime"):
                    tab.call(f"{domain}.enable")
                tab.size(width, height)
                yield tab
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        said = output.read_bytes()
        found = _ADDRESS.search(said)
        if found:
            return found[1].decode()
        if process.poll() is not None:
            raise PrerequisiteError(f"chromium ended at its start: {said.decode(errors='replace').strip()[-200:]}")
        time.sleep(0.05)
    raise PrerequisiteError(f"chromium did not open its DevTools in {SECONDS:.0f} s")

"""A headless Chromium, driven over a pair of pipes: open an address, ask the document, take a picture.

Chrome DevTools Protocol with `--remote-debugging-pipe`: JSON messages that end in a NUL byte, commands on the child's
file descriptor 3 and answers on 4. No port is opened, and nothing has to be installed beside the browser.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topmast.errors import TopmastError

FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
)
# Puts the two pipes where Chromium looks for them, and becomes it.
_LAUNCH = """
import os, sys
commands, answers = int(sys.argv[1]), int(sys.argv[2])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.close(commands)
os.close(answers)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Above 3 and 4, so that moving one does not close the other.
_LEAST_DESCRIPTOR = 10
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class BrowserError(TopmastError):
    """The browser did not start, did not answer in time, or refused; the message says which."""


class Tab:
    """One tab. Every call waits for its answer, at most `seconds`."""

    def __init__(self, commands: int, answers: int, seconds: float) -> None:
        self._commands, self._answers = commands, answers
        self._deadline = time.monotonic() + seconds
        self._number = 0
        self._buffer = bytearray()
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command of the protocol. Raises BrowserError."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self._number:
                continue  # an event that nobody asked for
            if "error" in answer:
                raise BrowserError(f"the browser refused {method}: {answer['error'].get('message')}")
            result: dict[str, Any] = answer["result"]
            return result

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the document, as JSON carries it. Raises BrowserError."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise BrowserError(f"the page failed: {told['exceptionDetails'].get('text')}")
        return told["result"].get("value")

    def wait_for(self, expression: str, what: str) -> Any:
        """Return the expression's value once it is truthy. Raises BrowserError naming `what` when time is up."""
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > self._deadline - 0.2:
                raise BrowserError(f"waited in vain: {what}")
            time.sleep(0.05)

    def screen(
        self, width: int, height: int, *, scale: float = 1.0, mobile: bool = False, scheme: str = "dark"
    ) -> None:
        """Set the size in CSS pixels, the pixels of each, and dark or light."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, box: dict[str, float]) -> bytes:
        """Return a PNG of a rectangle of the document (x, y, width, height in CSS pixels)."""
        clip = {**box, "scale": 1}
        told = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(told["data"])

    def _next(self) -> dict[str, Any]:
        while (end := self._buffer.find(b"\0")) < 0:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise BrowserError("the browser did not answer in time")
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise BrowserError("the browser ended")
            self._buffer += part
            if len(self._buffer) > MAX_MESSAGE_BYTES:
                raise BrowserError("the browser's answer is too large")
        message: dict[str, Any] = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        return message


@contextmanager
def tab(program: Path, seconds: float = 60.0) -> Iterator[Tab]:
    """Start the browser with a profile of its own, and end it afterwards. Raises BrowserError.

    `seconds` is how long all of it may take.
    """
    # Chromium's own sandbox cannot start as root; what is opened is the page on this machine.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
    with tempfile.TemporaryDirectory(prefix="topmast-browser-", ignore_cleanup_errors=True) as profile:
        command_out, command_in = _pipe()
        answer_out, answer_in = _pipe()
        argv = [sys.executable, "-S", "-c", _LAUNCH, str(command_out), str(answer_in), str(program), *flags]
        with (Path(profile) / "stderr").open("wb") as errors:
            process = subprocess.Popen(
                [*argv, f"--user-data-dir={profile}"],
                pass_fds=(command_out, answer_in),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        os.close(command_out)
        os.close(answer_in)
        try:
            yield Tab(command_in, answer_out, seconds)
        except BrokenPipeError as error:
            raise BrowserError(f"{program} ended at once: {_last_line(Path(profile) / 'stderr')}") from error
        finally:
            os.close(command_in)  # Chromium ends when its pipe does
            os.close(answer_out)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _pipe() -> tuple[int, int]:
    """Return the reading and the writing end of a pipe, both above the standard descriptors."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"

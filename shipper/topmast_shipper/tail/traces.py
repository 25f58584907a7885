"""Which lines are one: the stack traces of Python, Java, Go and Node as state machines, and a pattern of one's own.

A machine is asked with its state and the next line: the new state if the line belongs to what is open (or opens
something, in the state ""), "" if not. Facts: SHIPPING.md section 5 (multiline tracebacks); the forms are those
that the runtimes print.
"""

import re
from collections.abc import Callable, Mapping

Step = Callable[[str, bytes], str]

_CHAINED = (b"During handling of the above exception", b"The above exception was the direct cause")
_GROUP = re.compile(rb"\s*[+|]")
_JAVA_BEGIN = re.compile(rb"(?:Exception|Error|Throwable)(?:: |:?\s*$)")
_JAVA_NEXT = re.compile(
    rb"^\s+(?:eval )?at \S|^\s*(?:Caused by|Suppressed|Wrapped by): |^\s*\.\.\. \d+ (?:more|common frames omitted)"
    rb"|^\s*nested exception is: |^\s*\[CIRCULAR REFERENCE|^\s+- locked <"
)
_GO_BEGIN = re.compile(rb"(?:^|\s)panic: |^fatal error: |http: panic serving ")
_GO_GOROUTINE = re.compile(rb"^goroutine \d+ [^:]*\]:$")
_GO_FUNCTION = re.compile(rb"^(?:[^\s:()]*[./])?[^\s()]+\(.*\)$|^created by |^main\.main\(\)$")
_GO_DETAIL = re.compile(rb"^\[signal |^\s|^\[recovered\]|^exit status \d+$|^runtime\.\S+$")
_NODE_BEGIN = re.compile(rb"(?:Error|Exception)(?: \[\w+\])?(?:: |:?\s*$)")
_NODE_NEXT = re.compile(rb"^\s+at \S|^\s+\[cause\]: |^\s+\S.*\{$|^\s+\[?\w+\]?: |^[\]}],?$|^\s+[\]})]")


def python(state: str, line: bytes) -> str:
    """A traceback: what is indented, then one line that is not; and the next one that it is chained to."""
    if line.startswith(b"Traceback (most recent call last):"):
        return "frames" if state in ("", "chained") else ""
    if line.lstrip().startswith(b"+ Exception Group Traceback (most recent call last):"):
        return "" if state else "group"
    if not state:
        return ""
    if line.startswith(_CHAINED):
        return "chained" if state == "said" else ""
    if state == "group":
        return "group" if _GROUP.match(line) else ""
    if state == "frames":
        return "frames" if line[:1].isspace() else "said"
    return ""


def java(state: str, line: bytes) -> str:
    """An exception's name and message, its frames and its causes."""
    if state and _JAVA_NEXT.match(line):
        return "frames"
    return "" if state else _begun(_JAVA_BEGIN, line)


def go(state: str, line: bytes) -> str:
    """A panic and its goroutines."""
    if not state:
        return "panic" if _GO_BEGIN.search(line) else ""
    if _GO_GOROUTINE.match(line):
        return "frames"
    if state == "frames" and _GO_FUNCTION.match(line):
        return "frames"
    return state if _GO_DETAIL.match(line) else ""


def node(state: str, line: bytes) -> str:
    """An error's name and message, its frames, its cause and its own properties."""
    if state and _NODE_NEXT.match(line):
        return "frames"
    return "" if state else _begun(_NODE_BEGIN, line)


def _begun(pattern: re.Pattern[bytes], line: bytes) -> str:
    return "begun" if pattern.search(line) and not line[:1].isspace() else ""


TRACES: Mapping[str, Step] = {"go": go, "java": java, "node": node, "python": python}


def beginning(pattern: str) -> Step:
    """Return the machine for which every line that the pattern is not found in goes on the one before.

    Raises re.error.
    """
    found = re.compile(pattern.encode())

    def step(state: str, line: bytes) -> str:
        return "" if state and found.search(line) else "open"

    return step

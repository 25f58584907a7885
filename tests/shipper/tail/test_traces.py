"""tail/traces.py: which lines are one stack trace, as the runtimes print them."""

import pytest
from topmast_shipper.tail.traces import TRACES, beginning

PYTHON = """Traceback (most recent call last):
  File "app.py", line 3, in <module>
    pay()
    ^^^^^
KeyError: 'total'
During handling of the above exception, another exception occurred:
Traceback (most recent call last):
  File "app.py", line 5, in <module>
    raise ValueError("no total") from None
ValueError: no total"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "app.py", line 2, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: one
    +------------------------------------"""
JAVA = """java.lang.IllegalStateException: the basket is empty
\tat shop.Checkout.pay(Checkout.java:42)
\tat java.base/java.lang.Thread.run(Thread.java:833)
\tSuppressed: java.io.IOException: closed
\t\tat shop.Checkout.close(Checkout.java:60)
Caused by: java.lang.NullPointerException
\tat shop.Basket.total(Basket.java:7)
\t... 2 more"""
GO = """panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]
goroutine 1 [running]:
main.(*Basket).Total(0x0)
\t/src/basket.go:12 +0x1d
main.main()
\t/src/main.go:8 +0x25
exit status 2"""
NODE = """TypeError: Cannot read properties of undefined (reading 'total')
    at pay (/src/checkout.js:3:12)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  code: 'EBASKET',
  [cause]: Error: empty
      at basket (/src/basket.js:1:7)
}"""


def groups(trace: str, lines: list[str]) -> list[list[str]]:
    """Return the lines as the machine puts them together."""
    found: list[list[str]] = []
    state = ""
    for line in lines:
        following = TRACES[trace](state, line.encode()) if state else ""
        if following:
            found[-1].append(line)
        else:
            following = TRACES[trace]("", line.encode())
            found.append([line])
        state = following
    return found


@pytest.mark.parametrize(
    ("trace", "text"),
    [
        pytest.param("python", PYTHON, id="python"),
        pytest.param("python", GROUP, id="python group"),
        pytest.param("java", JAVA, id="java"),
        pytest.param("go", GO, id="go"),
        pytest.param("node", NODE, id="node"),
    ],
)
def test_a_trace_is_one_and_its_neighbours_are_their_own(trace: str, text: str) -> None:
    lines = text.split("\n")

    found = groups(trace, ["request began", *lines, "request ended", *lines, *lines])

    assert found == [["request began"], lines, ["request ended"], lines, lines]


@pytest.mark.parametrize("trace", sorted(TRACES))
def test_lines_that_are_no_trace_are_each_their_own(trace: str) -> None:
    lines = ["one", "  indented", "an Error was seen", "} else {", "goroutine", "File", "}", "at home"]

    assert groups(trace, lines) == [[line] for line in lines]


def test_a_pattern_begins_a_record() -> None:
    step = beginning(r"^\d{4}-")

    assert [step("", b"2026-11-22 one"), step("open", b"two"), step("open", b"2026-11-22 three")] == [
        "open",
        "open",
        "",
    ]

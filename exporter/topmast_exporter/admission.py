"""Which label sets a family may hold: cleaning of label values, and the limits that an attacker meets.

Limits and their defaults are METRICS.md's (2,000 label sets a family, 20,000 in all). The lengths and the cleaning
follow the security checklist of the exporter: NFC, no control characters, a cap in characters.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

OTHER = "_other"
UNMATCHED = "__unmatched__"
UNKNOWN = "_unknown"

MAX_LABEL_CHARACTERS = 128

# Everything but a plain printable ASCII value takes the slow path below.
_PLAIN = re.compile(rf"[ -~]{{0,{MAX_LABEL_CHARACTERS}}}")

# Cc control, Cf invisible (bidirectional marks), Cs half a surrogate pair (not encodable), Zl/Zp line separators.
_STRIPPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# The overflow sets of a family differ in closed labels only, which are few by contract. Past this many, the contract
# is broken and every label becomes `_other`.
MAX_OVERFLOW_SETS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """How many label sets are admitted, in one family and in the registry as a whole."""

    per_family: int = 2_000
    in_all: int = 20_000


def clean(value: object) -> str:
    """Return `value` as a label value: text, NFC, without control characters, at most 128 characters."""
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    # Cut first: the rest is linear in what a stranger may have made long.
    kept = (one for one in text[: 4 * MAX_LABEL_CHARACTERS] if unicodedata.category(one) not in _STRIPPED)
    return unicodedata.normalize("NFC", "".join(kept))[:MAX_LABEL_CHARACTERS]


def overflow(
    values: Sequence[str], names: Sequence[str], open_labels: frozenset[str], overflow_sets: int
) -> tuple[str, ...]:
    """Return the label set that counts what was not admitted: `_other` in open labels, closed ones kept.

    `overflow_sets` is how many such sets the family holds already.
    """
    if overflow_sets >= MAX_OVERFLOW_SETS or not open_labels:
        return (OTHER,) * len(values)
    return tuple(OTHER if name in open_labels else value for name, value in zip(names, values, strict=True))

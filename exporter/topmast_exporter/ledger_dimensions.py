"""Who spent it: key alias, user group and environment of a call, few of each, and nobody's name among them.

What looks like a person (an e-mail address) or a secret (a key itself instead of its alias) is replaced by a keyed
hash before it is stored anywhere: the same one is the same row, and cannot be turned back.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from topmast_exporter import admission
from topmast_exporter.usage_event import UsageEvent

NAMES = ("key_alias", "user_group", "environment")
MAX_VALUES = 200
"""Of each: the next one is booked under `_other`."""
MAX_REMEMBERED = 4096

_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?\d[\d ()/-]{6,}\d")
_SECRET = re.compile(r"(?:sk|pk|rk|key|Bearer|ghp|xox[a-z]|AKIA)[-_ ]?[A-Za-z0-9_-]{16,}|[A-Za-z0-9+/_-]{40,}")


class Dimensions(NamedTuple):
    """As a call is booked: admitted, and pseudonyms where they have to be."""

    key_alias: str = ""
    user_group: str = ""
    environment: str = ""


NOBODY = Dimensions()


class Admission:
    """Turns what callers say into what is booked. `keep(name, value)` is told of every value that is new."""

    def __init__(
        self,
        salt: str,
        known: Iterable[tuple[str, str]],
        keep: Callable[[str, str], None],
        environment: str = "",
    ) -> None:
        self._salt = salt.encode()
        self._keep = keep
        self._environment = environment
        self._known: dict[str, set[str]] = {name: set() for name in NAMES}
        for name, value in known:
            self._known.setdefault(name, set()).add(value)
        self._booked: dict[tuple[str, str, str], Dimensions] = {}

    def of(self, event: UsageEvent) -> Dimensions:
        """Return the dimensions that an event is booked under. Without an environment it is the ledger's own."""
        said = (event.key_alias, event.user_group, event.environment)
        booked = self._booked.get(said)
        if booked is None:
            booked = Dimensions(
                self._admit("key_alias", event.key_alias),
                self._admit("user_group", event.user_group),
                self._admit("environment", event.environment or self._environment),
            )
            if len(self._booked) >= MAX_REMEMBERED:
                self._booked.clear()
            self._booked[said] = booked
        return booked

    def forget(self) -> None:
        """Look everything up again: what was admitted last may not have been stored."""
        self._booked.clear()

    def _admit(self, name: str, said: str) -> str:
        value = admission.clean(self._pseudonym(said))
        known = self._known[name]
        if value and value not in known:
            if len(known) >= MAX_VALUES:
                return admission.OTHER
            self._keep(name, value)
            known.add(value)
        return value

    def _pseudonym(self, said: str) -> str:
        if not (_PERSON.fullmatch(said) or _SECRET.fullmatch(said)):
            return said
        digest = hmac.new(self._salt, said.strip().lower().encode("utf-8", "replace"), hashlib.sha256)
        return f"h:{digest.hexdigest()[:12]}"

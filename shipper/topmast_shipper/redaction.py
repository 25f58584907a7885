"""Secrets out of log records: by the name that stands before a value, or by the value's own form.

What is looked for: passwords, tokens, keys, Authorization and Cookie headers, passwords in URLs, private keys, the
key formats of providers, e-mail addresses; what was said to and by a model, by its field's name. A record is first
searched for words that stand near a secret (one pass, Aho-Corasick); only where there is one, it is taken apart.
Forms: the providers' documentation, and GitHub's list of supported secret scanning patterns.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson
from ahocorasick_rs import BytesAhoCorasick, MatchKind

MASK = "[redacted]"
EMAIL_MASK = "[redacted e-mail]"
CONTENT_MASK = "[content not captured]"

# Words that stand near a secret. The first that fits at a place decides, so the longer ones come first; all of them
# together stay below 64, for so many are looked for at once, with vector instructions.
_INNOCENT = (b"tokens", b"token_", b"author", b"authent", b"msg.", b"keyspa", b"keywo", b"keyboa", b"keyerr")
_NEAR = (
    *(b"passw", b"passphr", b"pwd", b"secret", b"token", b"credential", b"cookie", b"auth", b"bearer", b"basic "),
    *(b"key", b"private", b"pass=", b"_pass", b"bpass", b"otp"),
    *(b"signature", b"sessionid", b"sig=", b"fied by", b"eyj", b"sk-", b"sk_", b"rk_live"),
    *(b"_pat_", b"ghp_", b"gho_", b"ghs_", b"glpat-", b"xox", b"akia", b"asia", b"aiza", b"ya29.", b"hf_", b"npm_"),
    *(b"pypi-", b"sg.", b"pplx-", b"hooks.", b"%40", b"r8_", b"curl"),
)  # fmt: skip
_CONTENT_NEAR = (
    *(b'prompt":', b'prompts":', b'completion":', b'completions":', b'messages":', b'instructions":', b'arguments":'),
    *(b'definitions":', b'ments":'),
)  # fmt: skip

# Fields that hold what was said (SHIPPING.md section 4: opt-in, sensitive); nested ones are joined with a dot.
_CONTENT_FIELDS = frozenset({
    "prompt", "prompts", "completion", "completions", "messages", "system_instructions", "system_prompt",
    "input_messages", "output_messages", "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages",
    "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions", "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result", "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents", "gen_ai.memory.records",
    "gen_ai.memory.query.text",
})  # fmt: skip

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_PARTS = frozenset({
    "password", "passwords", "passwd", "pwd", "pw", "pass", "passphrase", "passcode", "secret", "secrets", "token",
    "credential", "credentials", "cookie", "cookies", "authorization", "auth", "apikey", "sessionid", "jwt", "csrf",
    "xsrf", "signature", "sig", "otp", "dbpass",
})  # fmt: skip
_SECRET_ENDS = (
    *("password", "passwd", "secret", "token", "apikey", "sessionid", "accesskey", "accountkey", "privatekey"),
)  # fmt: skip
_KEYS = frozenset({
    "api", "access", "private", "secret", "signing", "encryption", "account", "subscription", "shared", "master",
    "openai", "anthropic", "stripe", "azure", "gemini", "mistral", "groq", "cohere", "sendgrid", "twilio", "mailgun",
})  # fmt: skip
_TRAILING = frozenset({"hash", "value", "header", "plain", "raw", "encrypted", "base"})
# What is under these names is looked at one by one; what is under another secret name is a secret as a whole.
_MIXED = frozenset({"auth", "credentials"})

_KEYED = re.compile(
    r"""(?P<name>
        pass(?:word|wd|phrase|code)s? | pwd | secrets? | token | credentials? | authori[sz]ation | cookies? |
        (?:api|access|account|private|signing|encryption|subscription|secret|master|shared)[_.\s-]?keys?(?:_base)? |
        (?-i:[A-Z][A-Z0-9]{1,30}_KEY) | (?<=[?&])key |
        sessionid | csrf | xsrf | signature | (?<![A-Za-z0-9])(?:auth|sig|pw|(?:db|root|user)?pass|jwt|otp)
    )(?:[_.-](?:hash|value|header|raw))?
    (?P<middle>
        \\{0,8}["']?[\])]?\s{0,3}(?:=>|->|:=|==?|:(?!//)|%3[dD]|>)\s{0,3}(?:[A-Z]\w{0,31}\()?
        (?:[bru]?(?P<quote>\\{0,8}["'`]))?
      | \\{0,8}["']\s?,\s?[bru]?(?P<listed>\\{0,8}["'])
    )(?:(?:bearer|basic|apikey)\s+|(?P<digest>digest)\s|token\s+(?=\w))?""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE = re.compile(r"""[^\s"'`,;&<>()\[\]{}|\\]+""")
_TO_END = re.compile(r"""[^\r\n'\\]+""")
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_MAX_LIST_CHARACTERS = 8192
# After `name: ` in a sentence: what is no value.
_NO_VALUE = frozenset({
    "none", "null", "true", "false", "nil", "undefined", "required", "missing", "invalid", "incorrect", "expired",
    "empty", "ok", "valid", "not", "is", "was", "changed", "reset", "set", "unset", "wrong", "mismatch", "failed",
    "the", "optional", "string", "str", "bytes", "int", "unknown", "rejected", "accepted", "updated", "rotated",
})  # fmt: skip
_SURE = re.compile(r"pass|pwd|pw", re.IGNORECASE)

_FORMS = re.compile(
    r"""(?P<pem>-----BEGIN\ [A-Z0-9 ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----.*?(?:-----END\ [A-Z0-9 ]{0,40}-----|\Z))
    | (?P<jwt>(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3})
    | (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk|csk)[-_](?:ant-|proj-|live_|test_|or-|svcacct-|lf-)?[A-Za-z0-9][A-Za-z0-9_-]{15,}
      | whsec_[A-Za-z0-9+/=]{16,} | gsk_[A-Za-z0-9]{20,}
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,} | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16} | AIza[A-Za-z0-9_-]{30,}
      | ya29\.[A-Za-z0-9_-]{20,} | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{20,} | pypi-[A-Za-z0-9_-]{16,}
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | xai-[A-Za-z0-9]{20,} | pplx-[A-Za-z0-9]{20,}
      | r8_[A-Za-z0-9]{20,} | (?:lsv2|dop)_(?:pt|v1)_[A-Za-z0-9_]{20,} | shpat_[A-Fa-f0-9]{20,}
    )""",
    re.VERBOSE | re.DOTALL,
)
_SCHEME = re.compile(r"\b(bearer|basic)(\s+)(?=[A-Za-z0-9._~+/-]*[0-9A-Z=])([A-Za-z0-9._~+/-]{8,}=*)", re.IGNORECASE)
# Two things that say a value without a sign between: a command line, and SQL.
_SAID = re.compile(
    r"""(?P<before>(?<![\w-])--?[a-z-]{0,32}(?:password|passwd|pass|token|secret|api-key|apikey)\s
      | (?:identified\s+by|password)\s+['"]
      | (?<![\w-])(?:-u|--user)[\s=][^\s:'"]{1,64}:
    )(?P<value>[^\s'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)
# A word that no sentence has: letters and digits, long.
_TOLD = re.compile(
    r"""(?P<before>\b(?:password|passphrase|secret|token|api[ _-]?key|access[ _-]?key)s?
        (?:\s(?:is|was)\s|\sfor\s[^\s:]{1,64}:\s|\s))(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[A-Za-z0-9._~+/!$%-]{10,256}""",
    re.IGNORECASE | re.VERBOSE,
)
_USERINFO = re.compile(r"""(://[^\s:/@"'<>]{0,128}:)((?!\d{1,5}/)[^\s"'<>\\?#]{1,256})(@)""")
_LONE_USERINFO = re.compile(r"(://)([0-9A-Za-z]{24,128})(@)")
_HOOK = re.compile(r"(hooks\.[a-z0-9.-]{1,64}/[a-z]{1,32}/)([A-Za-z0-9_/-]{16,})")
_EMAIL = re.compile(
    r"(?<![\w.+'-])(?!git@)[\w.+'-]++(?:@|%40)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}"
    r"(?!(?:service|socket|timer|mount|internal|local)\b)[A-Za-z]{2,24}\b"
)
_ANY_WORD = re.compile(r"\w")


class Redactor:
    """Knows what must not be in a log. Safe across threads; holds no state but what it was made with."""

    def __init__(self, patterns: Iterable[str] = (), *, content: bool = False) -> None:
        """`patterns` are regular expressions of your own; with `content`, what is said to a model is kept.

        Raises ValueError for a pattern that is none.
        """
        self._own = [_compiled(each) for each in patterns]
        self._content = frozenset() if content else _CONTENT_FIELDS
        words = (b"authori", *_INNOCENT, *_NEAR, *(() if content else _CONTENT_NEAR))
        self._find = BytesAhoCorasick(list(words), matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes

    def suspects(self, data: bytes, start: int = 0) -> bool:
        """Return whether there may be a secret in UTF-8 text; an `@` is looked for from `start`."""
        if data.find(b"@", start) >= 0 or self._own:
            return True
        found = self._find(data.lower())
        return bool(found) and any(not 0 < number <= len(_INNOCENT) for number, _, _ in found)

    def text(self, text: str) -> str:
        """Return the text without its secrets; each is replaced by what it was, in brackets."""
        return self._text(text) if self.suspects(text.encode("utf-8", "replace")) else text

    def json(self, data: bytes, start: int = 0) -> bytes:
        """Return a JSON object without its secrets, as bytes. The data must be what orjson reads."""
        if not self.suspects(data, start):
            return data
        document = orjson.loads(data)
        return orjson.dumps({name: self._value(name, value, name) for name, value in document.items()})

    def _value(self, name: str, value: Any, path: str) -> Any:
        """Return the value without its secrets. `path` is its dotted name, `name` the last of it."""
        if type(value) is str:
            if path in self._content:
                return CONTENT_MASK
            if is_secret_name(name) and is_value(value):
                return MASK
            return self.text(value)
        if value is None or value is True or value is False:
            return value
        if type(value) is dict:
            if path in self._content:
                return CONTENT_MASK
            if name not in _MIXED and is_secret_name(name):
                return _masked(value)
            told = {key: self._value(key, each, f"{path}.{key}") for key, each in value.items()}
            # a header, a variable: {"name": "PASSWORD", "value": "…"}
            for naming in ("name", "key"):
                if "value" in told and type(value.get(naming)) is str and is_secret_name(value[naming]):
                    told["value"] = _masked(value["value"])
            return told
        if type(value) is list:
            if path in self._content:
                return CONTENT_MASK
            if is_secret_name(name):
                return _masked(value)
            # a header as a pair: ["authorization", "Bearer …"]
            if len(value) == 2 and type(value[0]) is str and is_secret_name(value[0]):
                return [value[0], _masked(value[1])]
            return [self._value("", each, path) for each in value]
        return _masked(value) if abs(value) >= 1000 and is_secret_name(name) else value

    def _text(self, text: str) -> str:
        for pattern in self._own:
            text = pattern.sub(MASK, text)
        text = _FORMS.sub(MASK, text)
        if "://" in text:
            text = _LONE_USERINFO.sub(_middle, _USERINFO.sub(_middle, text))
            text = _HOOK.sub(rf"\1{MASK}", text)
        text = _keyed(text)
        text = _SAID.sub(_behind, _TOLD.sub(_behind, text))
        text = _SCHEME.sub(rf"\1\2{MASK}", text)
        return _EMAIL.sub(EMAIL_MASK, text) if "@" in text or "%40" in text else text


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {pattern[:80]!r}: {error}") from error


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret: `db_password`, `X-Api-Key`, `accessToken`."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    while len(parts) > 1 and parts[-1] in _TRAILING:
        parts.pop()
    if not parts:
        return False
    last = parts[-1]
    if last == "key" and len(parts) > 1 and name.isupper():
        return True  # of the environment: OPENAI_KEY
    if last in _SECRET_PARTS or last.endswith(_SECRET_ENDS):
        return True
    return last in ("key", "keys") and len(parts) > 1 and parts[-2] in _KEYS


def is_value(text: str) -> bool:
    """Return whether a text can be a secret: not empty, not masked already, not a word for nothing."""
    return bool(_ANY_WORD.search(text)) and not text.startswith("[redacted") and text.lower() not in _NO_VALUE


def _masked(value: Any) -> Any:
    """Return the value with every leaf of it masked."""
    if type(value) is dict:
        return {name: _masked(each) for name, each in value.items()}
    if type(value) is list:
        return [_masked(each) for each in value]
    if value is None or type(value) is bool or (type(value) is str and not is_value(value)):
        return value
    return MASK


def _middle(found: re.Match[str]) -> str:
    return found[0] if found[2].startswith("[redacted") else f"{found[1]}{MASK}{found[3]}"


def _behind(found: re.Match[str]) -> str:
    return f"{found['before']}{MASK}"


def _keyed(text: str) -> str:
    """Return the text without the values that stand behind a name: `password=…`, `"token": "…"`."""
    parts: list[str] = []
    position = 0
    for found in _KEYED.finditer(text):
        start = found.end()
        if start < position:
            continue
        end = _value_end(text, start, found)
        value = text[start:end]
        if not is_value(value) or not _follows(found, value):
            continue
        parts += (text[position:start], MASK)
        position = end
    return "".join((*parts, text[position:])) if parts else text


def _value_end(text: str, start: int, found: re.Match[str]) -> int:
    quote = found["quote"] or found["listed"]
    if quote:
        end = text.find(quote, start)
        return end if end >= 0 else len(text)
    closing = _CLOSING.get(text[start : start + 1])
    if closing:
        end = text.find(closing, start, start + _MAX_LIST_CHARACTERS)
        return end + 1 if end >= 0 else len(text)
    # a Cookie header is several values, and so is Digest's
    ends = _TO_END if found["digest"] or found["name"].lower().startswith("cookie") else _BARE
    bare = ends.match(text, start)
    return bare.end() if bare else start


def _follows(found: re.Match[str], value: str) -> bool:
    """Return whether the value is one, and not the sentence's next word."""
    middle = found["middle"]
    if found["quote"] or found["listed"] or not middle.endswith(" "):
        return True
    if value.isdecimal() and len(value) < 4:
        return False
    return not (value.isalpha() and value.islower()) or bool(_SURE.match(found["name"]))

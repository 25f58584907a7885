"""Secrets in every place where they get into a log, and lines that have none.

The secrets are made for this: none of them opens anything. A secret counts as missed when any of it is left.
"""

import base64
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Planted:
    """A record's message and extras, and the text that must not be in what is written."""

    name: str
    secret: str
    message: str
    extra: dict[str, Any]
    traceback: bool = False


def _word(chance: random.Random, length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choices(letters, k=length))


def _forms(chance: random.Random) -> dict[str, str]:
    """Return secrets that are known by their form, wherever they stand."""
    part = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    upper = string.ascii_uppercase + string.digits
    return {
        "openai": "sk-" + _word(chance, 48),
        "openai project": "sk-proj-" + _word(chance, 64),
        "anthropic": "sk-ant-api03-" + _word(chance, 80),
        "openrouter": "sk-or-v1-" + _word(chance, 64, "0123456789abcdef"),
        "stripe": "sk_live_" + _word(chance, 24),
        "github": "ghp_" + _word(chance, 36),
        "github app": "ghs_" + _word(chance, 36),
        "github fine-grained": "github_pat_" + _word(chance, 22) + "_" + _word(chance, 59),
        "gitlab": "glpat-" + _word(chance, 20),
        "slack bot": f"xoxb-{chance.randrange(10**10, 10**11)}-{_word(chance, 24)}",
        "aws id": "AKIA" + _word(chance, 16, upper),
        "aws temporary": "ASIA" + _word(chance, 16, upper),
        "google": "AIza" + _word(chance, 35),
        "google oauth": "ya29." + _word(chance, 40),
        "hugging face": "hf_" + _word(chance, 34),
        "npm": "npm_" + _word(chance, 36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + _word(chance, 40),
        "sendgrid": f"SG.{_word(chance, 22)}.{_word(chance, 43)}",
        "groq": "gsk_" + _word(chance, 52),
        "perplexity": "pplx-" + _word(chance, 48),
        "replicate": "r8_" + _word(chance, 37),
        "jwt": f"{part}.{_word(chance, 60)}.{_word(chance, 43)}",
        "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{_word(chance, 64)}\n{_word(chance, 64)}\n"
        "-----END RSA PRIVATE KEY-----",
        "e-mail": f"{_word(chance, 8).lower()}.{_word(chance, 6).lower()}@{_word(chance, 7).lower()}.example.com",
    }


_NAMES = (
    "password", "passwd", "db_password", "PGPASSWORD", "passphrase", "pwd", "client_secret", "secret", "token",
    "access_token", "refresh_token", "id_token", "api_key", "apiKey", "x-api-key", "OPENAI_API_KEY", "secret_key",
    "OPENAI_KEY", "SECRET_KEY_BASE", "db_pass", "dbpass", "private_key", "AWS_SECRET_ACCESS_KEY", "authToken",
    "csrf_token", "session_token", "AccountKey", "credential",
)  # fmt: skip


def _in_text(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the ways in which text says that a name has a value."""
    yield "an assignment", f"settings {name}={value} loaded"
    yield "a colon", f"connecting with {name}: {value}"
    yield "a repr", f"request {{'id': 7, '{name}': '{value}', 'ok': True}}"
    yield "JSON in the text", "sent " + json.dumps({"user": "anna", name: value})
    yield "JSON in JSON", "sent " + json.dumps({"body": json.dumps({name: value, "n": 1})})
    yield "a query", f"GET https://api.example.org/v1/items?page=2&{name}={value}&sort=asc"
    yield "a keyword argument", f"Client(host='db', {name}='{value}', timeout=3)"
    yield "pairs", f"[('{name}', '{value}'), ('accept', '*/*')]"
    yield "a hidden value's repr", f"Settings({name}=SecretStr('{value}'), n=1)"
    yield "an arrow", f"{name} -> {value}"
    yield "a list", f"{name}=['first', '{value}'] n=2"


def _in_extra(name: str, value: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "a field", {name: value}
    yield "a nested field", {"request": {"headers": {name: value, "accept": "*/*"}}}
    yield "a list of fields", {"items": [{name: value}, {"n": 1}]}
    yield "JSON in a field", {"body": json.dumps({"user": 7, name: value})}
    yield "bytes", {"body": json.dumps({name: value}).encode()}
    yield "a pair", {"headers": [[name, value], ["accept", "*/*"]]}
    yield "a name and a value", {"variables": [{"name": name, "value": value}]}


def planted(seed: int) -> list[Planted]:
    """Return records with a secret each; other values for another seed."""
    chance = random.Random(seed)  # noqa: S311 - not for anything secret
    found: list[Planted] = []

    def add(
        name: str, secret: str, message: str, extra: dict[str, Any] | None = None, *, raised: bool = False
    ) -> None:
        found.append(Planted(name, secret, message, extra or {}, raised))

    for kind, secret in _forms(chance).items():
        kept = secret.split("\n")[1] if "\n" in secret else secret
        add(f"{kind} in a message", kept, f"the provider refused {secret} (401)")
        add(f"{kind} at the end", kept, f"using key {secret}")
        add(f"{kind} in an extra", kept, "refused", {"detail": {"tried": ["a", secret]}})
        add(f"{kind} in a traceback", kept, f"the provider refused {secret}", raised=True)
        add(f"{kind} in JSON in a message", kept, json.dumps({"a": json.dumps({"detail": secret})}))
    for name in _NAMES:
        value = _word(chance, chance.randrange(9, 25))
        for way, text in _in_text(name, value):
            add(f"{name} as {way}", value, text)
        for way, extra in _in_extra(name, value):
            add(f"{name} as {way}", value, "handled", extra)
        add(f"{name} in a traceback", value, f"login({name}={value!r})", raised=True)
    for scheme in ("postgresql", "redis", "mysql+pymysql", "amqp", "mongodb+srv", "https"):
        value = _word(chance, 12)
        url = f"{scheme}://shop:{value}@db.internal:5432/shop?ssl=1"
        add(f"{scheme} URL in a message", value, f"cannot reach {url}, trying again")
        add(f"{scheme} URL in an extra", value, "cannot reach", {"url.full": url})
        add(f"{scheme} URL in a traceback", value, f"OperationalError: {url}", raised=True)
        add(f"{scheme} URL without a user", value, f"cannot reach {scheme}://:{value}@db.internal/0")
    for scheme in ("Bearer", "bearer", "Basic", "Token"):
        value = _word(chance, 30)
        add(f"{scheme} header in a message", value, f"-> GET /v1 Authorization: {scheme} {value}")
        add(f"{scheme} header as a dict's repr", value, f"headers={{'Authorization': '{scheme} {value}', 'a': 'b'}}")
        add(f"{scheme} header in an extra", value, "sent", {"headers": {"Authorization": f"{scheme} {value}"}})
        add(f"{scheme} header as bytes", value, f"scope [(b'authorization', b'{scheme} {value}')]")
        if scheme != "Token":
            add(f"{scheme} alone", value + "9", f"sent with {scheme} {value}9 in it")
    for header in ("Cookie", "Set-Cookie", "cookie"):
        value = _word(chance, 26)
        add(f"{header} in a message", value, f"< {header}: sid={value}; Path=/; HttpOnly")
        add(f"{header}'s second value", value, f"{header}: theme=dark; sid={value}")
        add(f"{header} in an extra", value, "received", {"headers": {header: f"sid={value}; theme=dark"}})
        add(f"{header} as a dict's repr", value, f"{{'{header}': 'a=1; sid={value}'}}")
    value = _word(chance, 14)
    for name, text in (
        ("a command line", f"ran: pg_dump --password {value} shop"),
        ("a command line with =", f"ran: tool --token={value} run"),
        ("curl", f"ran: curl -u anna:{value} https://api.example.org"),
        ("SQL", f"ALTER USER shop IDENTIFIED BY '{value}'"),
        ("SQL of PostgreSQL", f"CREATE ROLE shop LOGIN PASSWORD '{value}'"),
        ("XML", f"<login><password>{value}</password></login>"),
        ("YAML", f"db:\n  user: shop\n  password: {value}\n"),
        ("an environment", f"OPENAI_API_KEY={value} DEBUG=1"),
        ("a form", f"user=anna&password={value}&next=%2F"),
        ("a signed URL", f"GET https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature={value}"),
        ("a storage URL", f"GET https://x.blob.core.windows.net/c?sv=2024&sig={value}"),
        ("a sentence", f"the password for anna: {value}1"),
        ("another sentence", f"token {value}1 was refused"),
        ("a password that is said", f"my password is {value}1"),
        ("a password with a slash", f"postgres://shop:pa/{value}@db/shop"),
        ("a key in a query", f"GET /v1?key={value}&x=1"),
        ("Digest", f'Authorization: Digest username="anna", response="{value}"'),
        ("a quoted cookie", f'Cookie: sid="{value}"; theme=dark'),
        ("a webhook", f"POST https://hooks.slack.com/services/T0AB12CD/B0AB12CD/{value}{value}"),
    ):
        add(f"{name}", value, text)
        add(f"{name} in an extra", value, "ran", {"detail": text})
    content = "the patient said " + _word(chance, 12)
    for name in ("prompt", "completion", "messages", "gen_ai.input.messages", "gen_ai.output.messages"):
        add(f"{name}, which nobody opted in to", content, "called", {name: [{"role": "user", "content": content}]})
        add(f"{name} as text", content, "called", {name: content})
    return found


_CLEAN = (
    "order {n} for customer {m} was placed in {n} ms",
    "GET /v1/orders/{n}?page={m}&sort=asc 200 {n}ms",
    "input_tokens={n} output_tokens={m} finish_reason=stop model=gpt-4o-mini",
    "used {n} prompt tokens and {m} completion tokens, max_tokens=4096",
    "retrying in {m} s after 429 Too Many Requests from api.openai.com (attempt {m})",
    "user {n} signed in; authentication took {m} ms",
    "token expired for user {n}, asking to sign in again",
    "invalid token: signature mismatch (request {h})",
    "password reset requested for user {n}",
    "wrong password for user {n}: attempt {m} of 5",
    "secret rotation finished: {m} of {m} done",
    "cache key user:{n}:profile not found, loading from the database",
    "primary_key={n} foreign_key={m} rows={n}",
    "task shop.tasks.send_invoice[{u}] succeeded in {m}.{n}s: None",
    "trace_id={h}{h} span_id={h} sampled=1",
    "commit 9f{h}{h} deployed as v1.{m}.{n} to europe-west1",
    "File \"/srv/app/auth/token.py\", line {m}, in verify_token",
    "connected to postgresql://db.internal:5432/shop as shop",
    "GET https://cdn.example.org/assets/app-{h}.js 304",
    "session {h} closed after {n} s; author of the change: deploy bot",
    "basic plan upgraded to pro: customer {n}",
    "pulled image registry.internal/app@sha256:{h}{h}{h}{h}",
    "worker celery@host{m} ready; unit ssh@{m}.service started",
    "authorization check passed for role editor on document {n}",
    "cookie banner shown {n} times",
    "keyspace hits {n}, misses {m}; key count {n}",
    "compass heading {m}, passenger {n} boarded, passed {m} of {m} checks",
    "time zone Asia/Tokyo, currency EUR, {n}.{m} units at 10:{m}",
    "@app.get('/health') registered; decorator @cached(ttl={n})",
    "disk-usage 4{m}%, task-queue-depth {n}, risk-score 0.{n}",
    "2026-11-22T21:16:00.{n}Z INFO app.tokenizer: {n} tokens in {m} ms, vocabulary of {n}",
    "the secretary's bearer of news arrived: {m} messages",
)  # fmt: skip
_CLEAN_EXTRAS: tuple[dict[str, Any], ...] = (
    {},
    {"gen_ai.usage.input_tokens": 812, "gen_ai.request.max_tokens": 4096, "gen_ai.token.type": "input"},
    {"http.request.id": "6f1c0e2b93d84a7e8f7d", "url.path": "/v1/auth/token", "http.response.status_code": 200},
    {"cache.key": "user:4711:profile", "cache_hit": True, "keys": 12},
    {"tests": {"pass": 12, "fail": 0}, "author": "deploy bot", "tokens_per_second": 81.5},
)


def clean(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield messages and extras that have no secret, and many words that stand near one."""
    chance = random.Random(seed)  # noqa: S311 - not for anything secret
    for number in range(count):
        values = {
            "n": chance.randrange(1, 99_999),
            "m": chance.randrange(1, 60),
            "h": _word(chance, 16, "0123456789abcdef"),
            "u": f"{_word(chance, 8, '0123456789abcdef')}-1a2b-4c3d-8e4f-{_word(chance, 12, '0123456789abcdef')}",
        }
        yield _CLEAN[number % len(_CLEAN)].format(**values), _CLEAN_EXTRAS[number % len(_CLEAN_EXTRAS)]

"""The standalone process as a user starts it: real servers, real sockets, real signals."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import yaml
from topmast_exporter import standalone
from topmast_exporter.config import Address


def fetch(port, path, body=None, headers=()):
    """Return (status, text)."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (urllib.error.URLError, OSError):
        return 0, ""


class Exporter:
    """One `python -m topmast_exporter -c FILE`, restartable."""

    def __init__(self, folder, ports, sections, eventually):
        self.file = folder / "topmast.yml"
        self.log = folder / "log"
        self.scrapes, self.usage = ports
        self.sections = sections
        self.eventually = eventually
        self.write()

    def write(self):
        exporter = {
            "listen": f"127.0.0.1:{self.scrapes}",
            "data": str(self.file.parent / "data"),
            "ingest": {"listen": f"127.0.0.1:{self.usage}"},
            **self.sections,
        }
        budgets = {"month_usd": 100, "features": {"search": {"day_usd": 0.5}}}
        self.file.write_text(yaml.safe_dump({"exporter": exporter, "budgets": budgets}))

    def start(self):
        argv = [sys.executable, "-m", "topmast_exporter", "-c", str(self.file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        self.eventually(lambda: fetch(self.scrapes, "/healthz")[0] == 200, "the exporter answers")

    def kill(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(15)

    def send(self, *events):
        return fetch(self.usage, "/v1/usage", "\n".join(map(json.dumps, events)).encode())

    def sample(self, name, path="/metrics"):
        for line in fetch(self.scrapes, path)[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return None


@pytest.fixture
def ports(free_ports):
    return free_ports(2)


@pytest.fixture
def exporter(tmp_path, ports, valkey, postgres, eventually):
    sections = {
        "dependencies": ["redis"],
        "prices": {"overrides": {"acme/big": {"input_usd_per_million": 2.5}}},
        "collectors": [
            {"redis": {"target": "cache", "url": valkey, "interval_seconds": 1, "timeout_seconds": 0.9}},
            {"postgres": {"target": "main", "dsn": postgres, "interval_seconds": 1, "timeout_seconds": 0.9}},
        ],
    }
    one = Exporter(tmp_path, ports, sections, eventually)
    one.start()
    yield one
    if one.process.poll() is None:
        one.kill()


USAGE = {"provider": "acme", "model": "big", "usage": {"input": 400_000, "output": 0}}
COST = 'llm_cost_usd_total{provider="acme",model="big",feature="",component="input"}'


def test_servers_spend_and_dependencies_are_scraped(exporter, eventually):
    eventually(lambda: exporter.sample("redis_up", "/probe?module=redis&target=cache") == 1, "redis is read")
    eventually(lambda: exporter.sample("pg_up", "/probe?module=postgres&target=main") == 1, "postgres is read")

    assert exporter.sample(COST) == 0  # declared before its first request
    assert exporter.send({"id": "1", **USAGE}, {"id": "1", **USAGE})[0] == 202
    assert exporter.sample(COST) == 1.0
    assert exporter.sample('app_dependency_configured{dependency="redis"}') == 1
    assert exporter.sample('app_dependency_configured{dependency="mysql"}') == 0
    assert exporter.sample('exporter_collector_up{collector="postgres",target="main"}') == 1


def test_a_priced_model_costs_what_the_compiled_table_says(exporter):
    call = {"provider": "openai", "model": "gpt-4o-mini", "usage": {"input": 1_000_000, "output": 0}}

    exporter.send({"id": "1", **call})

    assert exporter.sample(COST.replace("acme", "openai").replace("big", "gpt-4o-mini")) == 0.15
    assert exporter.sample('llm_price_table_timestamp_seconds{source="genai-prices"}') > 1.7e9


def test_an_application_may_ask_what_is_left_of_a_budget(exporter):
    exporter.send({"id": "1", "feature": "search", **USAGE})

    status, body = fetch(exporter.usage, "/v1/budgets")

    assert status == 200
    assert json.loads(body) == {
        "budgets": [
            {"window": "day", "feature": "search", "limit_usd": 0.5, "spent_usd": 1.0},
            {"window": "month", "feature": "", "limit_usd": 100, "spent_usd": 1.0},
        ]
    }


def test_kill_9_and_start_again_shows_the_same_spend(exporter, eventually):
    # a disk that is slow for a while is answered with 503: whoever sends asks again
    eventually(lambda: exporter.send({"id": "1", **USAGE})[0] == 202, "it is committed")
    exporter.kill(signal.SIGKILL)

    exporter.start()

    assert exporter.sample(COST) == 1.0
    assert json.loads(exporter.send({"id": "1", **USAGE})[1])["duplicates"] == 1


def test_frozen_servers_are_down_within_an_interval_and_the_scrape_answers(
    exporter, valkey_server, postgres_server, eventually
):
    redis, postgres = "/probe?module=redis&target=cache", "/probe?module=postgres&target=main"
    eventually(lambda: exporter.sample("redis_up", redis) == 1, "redis is read")
    eventually(lambda: exporter.sample("pg_up", postgres) == 1, "postgres is read")

    with valkey_server.frozen(), postgres_server.frozen():
        eventually(lambda: exporter.sample("redis_up", redis) == 0, "redis is down")
        eventually(lambda: exporter.sample("pg_up", postgres) == 0, "postgres is down")
        eventually(lambda: exporter.sample("redis_connected_clients", redis) is None, "old values disappear")
        assert exporter.sample(COST) == 0  # and /metrics answers all the while
    eventually(lambda: exporter.sample("redis_up", redis) == 1, "redis is found again")
    eventually(lambda: exporter.sample("pg_up", postgres) == 1, "postgres is found again")


def test_hangup_reads_the_configuration_again_and_a_broken_one_changes_nothing(exporter, eventually):
    exporter.sections["dependencies"] = ["mysql"]
    exporter.sections["collectors"].pop()
    exporter.write()
    exporter.process.send_signal(signal.SIGHUP)
    mysql = 'app_dependency_configured{dependency="mysql"}'
    eventually(lambda: exporter.sample(mysql) == 1, "the new configuration holds")
    assert fetch(exporter.scrapes, "/probe?module=postgres&target=main")[0] == 404

    exporter.file.write_text("exporter: {colectors: []}")
    exporter.process.send_signal(signal.SIGHUP)
    eventually(lambda: "is refused" in exporter.log.read_text(), "the refusal is said")

    assert exporter.sample(mysql) == 1


def test_no_scrape_during_reloads_lacks_a_sample(exporter, eventually):
    redis = "/probe?module=redis&target=cache"
    eventually(lambda: exporter.sample("redis_connected_clients", redis), "redis is read")
    exporter.send({**USAGE, "id": "reload-1"})
    eventually(lambda: exporter.sample(COST) == 1, "the spend is shown")

    seen = set()
    for interval in (2, 3, 4, 5):
        exporter.sections["collectors"][0]["redis"]["interval_seconds"] = interval
        exporter.write()
        exporter.process.send_signal(signal.SIGHUP)
        for _ in range(15):
            clients = exporter.sample("redis_connected_clients", redis)
            seen.add((exporter.sample("redis_up", redis), clients is not None, exporter.sample(COST)))

    assert exporter.log.read_text().count("the configuration is read again") >= 1
    assert seen == {(1.0, True, 1.0)}


def test_a_server_that_was_down_at_the_start_is_found_when_it_comes(tmp_path, ports, port, start_valkey, eventually):
    target = {"target": "late", "url": f"redis://127.0.0.1:{port}/0", "interval_seconds": 1, "timeout_seconds": 0.9}
    one = Exporter(tmp_path, ports, {"collectors": [{"redis": target}]}, eventually)
    one.start()
    redis = "/probe?module=redis&target=late"
    refused = 'exporter_collector_failures_total{collector="redis",reason="connection"}'
    eventually(lambda: (one.sample(refused) or 0) >= 1, "the failure is counted")
    assert one.sample("redis_up", redis) == 0
    assert one.sample("redis_connected_clients", redis) is None

    start_valkey(port=port)

    eventually(lambda: one.sample("redis_up", redis) == 1, "the server is found")
    one.kill()


def test_a_small_answer_waits_for_no_delayed_acknowledgement(ports):
    with standalone._listen(Address("127.0.0.1", ports[0])) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_terminate_ends_it_cleanly(exporter):
    assert exporter.kill() == 0
    assert "stopped" in exporter.log.read_text()


def test_a_second_one_says_why_it_cannot_start(exporter):
    second = subprocess.run(
        [sys.executable, "-m", "topmast_exporter", "-c", str(exporter.file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 69
    assert "cannot listen" in second.stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("exporter: {}", 0, "nothing is wrong", id="right"),
        pytest.param("exporter: {x: 1}", 78, "$.exporter: no such option: 'x'", id="wrong"),
    ],
)
def test_check_says_what_is_wrong_and_starts_nothing(tmp_path, text, code, said):
    path = tmp_path / "topmast.yml"
    path.write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "topmast_exporter", "-c", str(path), "--check"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, said in done.stdout + done.stderr) == (code, True)
    assert list(tmp_path.iterdir()) == [path]


def test_once_prints_each_server_and_fails_when_one_is_down(tmp_path, valkey, port):
    path = tmp_path / "topmast.yml"
    listed = [
        {"redis": {"target": "cache", "url": valkey}},
        {"redis": {"target": "gone", "url": f"redis://127.0.0.1:{port}"}},
    ]
    path.write_text(yaml.safe_dump({"exporter": {"collectors": listed}}))

    done = subprocess.run(
        [sys.executable, "-m", "topmast_exporter", "-c", str(path), "--once"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert "redis_up 1.0" in done.stdout
    assert "redis_up 0.0" in done.stdout

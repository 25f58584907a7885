"""The Redis collector: names and values of redis_exporter, and the namespaces' keys by a budgeted SCAN."""

import socketserver
import threading

import pytest
import redis
import trustme
from topmast.debian_servers import free_port
from topmast_exporter import redis_latency
from topmast_exporter.collector import load
from topmast_exporter.collectors.redis import COMMANDS, Config, RedisSource, parse
from topmast_exporter.errors import CollectError
from topmast_exporter.redis_info import parse as parse_info
from topmast_exporter.redis_namespaces import NamespaceScan
from topmast_exporter.refresh import Targets
from topmast_exporter.registry import Registry
from topmast_exporter.render import render

INFO = """\
# Server
redis_version:7.2.4
redis_mode:standalone
os:Linux
tcp_port:6379
uptime_in_seconds:12
# Clients
connected_clients:3
maxclients:10000
# Memory
used_memory:1068600
maxmemory:0
maxmemory_policy:allkeys-lru
mem_fragmentation_ratio:6.51
# Persistence
rdb_last_bgsave_status:ok
aof_last_write_status:err
# Stats
keyspace_hits:61
keyspace_misses:7
# Replication
role:slave
master_host:10.0.0.1
master_port:6379
master_link_status:down
# Commandstats
cmdstat_get:calls=21,usec=1750000,usec_per_call=8.33,rejected_calls=1,failed_calls=2
# Keyspace
db0:keys=3030,expires=3000,avg_ttl=99979
"""


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        pytest.param("redis_uptime_in_seconds", {}, 12.0, id="a number"),
        pytest.param("redis_memory_used_bytes", {}, 1068600.0, id="a renamed field"),
        pytest.param("redis_rdb_last_bgsave_status", {}, 1.0, id="ok is 1"),
        pytest.param("redis_aof_last_write_status", {}, 0.0, id="err is 0"),
        pytest.param("redis_keyspace_hits_total", {}, 61.0, id="a counter"),
        pytest.param("redis_commands_total", {"cmd": "get"}, 21.0, id="calls by command"),
        pytest.param("redis_commands_duration_seconds_total", {"cmd": "get"}, 1.75, id="seconds, not microseconds"),
        pytest.param("redis_commands_failed_calls_total", {"cmd": "get"}, 2.0, id="failed calls"),
        pytest.param("redis_db_keys_expiring", {"db": "db0"}, 3000.0, id="keyspace"),
        pytest.param("redis_db_avg_ttl_seconds", {"db": "db0"}, 99.979, id="seconds, not milliseconds"),
        pytest.param(
            "redis_master_link_up", {"master_host": "10.0.0.1", "master_port": "6379"}, 0.0, id="a replica cut off"
        ),
        pytest.param("redis_evicted_keys_total", {}, None, id="what INFO lacks is absent"),
    ],
)
def test_info_becomes_the_names_of_redis_exporter(name, labels, value):
    assert parse_info(INFO).value(name, **labels) == value


def test_instance_info_has_the_policy_that_the_eviction_rule_reads():
    (sample,) = next(m for m in parse_info(INFO).metrics() if m.name == "redis_instance_info").samples

    assert sample.labels["maxmemory_policy"] == "allkeys-lru"
    assert sample.labels["role"] == "slave"


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        pytest.param(b"<html>not redis</html>", "protocol", id="garbage"),
        pytest.param(redis.exceptions.NoPermissionError("NOPERM no INFO for you"), "permission", id="an ACL"),
    ],
)
def test_a_server_without_info_has_one_reason(info, reason):
    with pytest.raises(CollectError) as refused:
        parse({"info": info, "slowlog_len": 0, "latency_latest": [], "config_maxclients": []})

    assert refused.value.reason == reason


def test_what_a_managed_service_refuses_is_left_out_and_the_rest_stays():
    refusal = redis.exceptions.ResponseError("ERR unknown command")

    reading = parse({**dict.fromkeys(COMMANDS, refusal), "info": INFO.encode()})

    assert set(reading.refused) == {"SLOWLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM", "CONFIG GET"}
    assert reading.value("redis_config_maxmemory") is None
    assert reading.value("redis_config_maxclients") == 10000.0
    assert reading.value("redis_slowlog_length") is None


def test_databases_without_a_key_are_at_0_and_the_slow_log_says_no_command():
    answers = {
        **{key: [] for key in COMMANDS},
        "info": INFO.encode(),
        "config_databases": [b"databases", b"2"],
        "slowlog_len": 1,
        "slowlog_last": [[7, 1700000000, 12_500, [b"GET", b"secret"]]],
    }

    reading = parse(answers)

    assert [reading.value("redis_db_keys", db=db) for db in ("db0", "db1", "db2")] == [3030, 0, None]
    assert reading.value("redis_slowlog_last_id") == 7
    assert reading.value("redis_last_slow_execution_duration_seconds") == 0.0125
    assert "secret" not in str(reading.metrics())


def test_percentiles_of_a_command_are_a_summary():
    text = "# Commandstats\ncmdstat_get:calls=2,usec=30\n# Latencystats\n"
    text += "latency_percentiles_usec_get:p50=14.0,p99.9=16.1\n"

    reading = parse_info(text)

    name = "redis_latency_percentiles_usec"
    assert reading.value(name, cmd="get", quantile="50") == 14
    assert reading.value(name, cmd="get", quantile="99.9") == 16.1
    assert (reading.value(f"{name}_count", cmd="get"), reading.value(f"{name}_sum", cmd="get")) == (2, 30)


HISTOGRAM = [b"get", [b"calls", 100, b"histogram_usec", [1, 78, 4, 96]], b"set", [b"calls", 2, b"histogram_usec", []]]


def histogram(answer, info=INFO):
    return parse(
        {**{key: [] for key in COMMANDS}, "info": info.encode(), "slowlog_len": 0, "latency_histogram": answer}
    )


def test_the_time_of_each_command_is_a_histogram_with_the_sum_that_info_has():
    reading = histogram(HISTOGRAM)

    name = "redis_commands_latencies_usec"
    found = {le: reading.value(f"{name}_bucket", cmd="get", le=le) for le in ("1.0", "2.0", "4.0", "+Inf")}
    assert found == {"1.0": 78, "2.0": None, "4.0": 96, "+Inf": 100}
    assert (reading.value(f"{name}_count", cmd="get"), reading.value(f"{name}_sum", cmd="get")) == (100, 1_750_000)
    assert reading.value(f"{name}_bucket", cmd="set", le="+Inf") == 2


def test_commands_beyond_the_limit_are_one_histogram_and_no_call_is_lost():
    count = redis_latency.MAX_COMMANDS + 2
    answer = []
    for number in range(count):
        answer += [b"cmd%03d" % number, [b"calls", 3, b"histogram_usec", [1 + number % 2, 2, 8, 3]]]

    reading = histogram(answer)

    name = "redis_commands_latencies_usec"
    (metric,) = [one for one in reading.metrics() if one.name == name]
    assert sum(sample.value for sample in metric.samples if sample.name == f"{name}_count") == 3 * count
    rest = {le: reading.value(f"{name}_bucket", cmd="_other", le=le) for le in ("1.0", "2.0", "8.0", "+Inf")}
    assert rest == {"1.0": 2, "2.0": 4, "8.0": 6, "+Inf": 6}


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        pytest.param("ERR Unknown subcommand or wrong number of arguments for 'HISTOGRAM'.", set(), id="before 7.0"),
        pytest.param("NOPERM this user has no permissions", {"LATENCY HISTOGRAM"}, id="an ACL"),
    ],
)
def test_a_server_without_histograms_refuses_nothing(message, refused):
    assert set(histogram(redis.exceptions.ResponseError(message)).refused) == refused


class FakeServer:
    """Answers SCAN from a list of keys, like a server of that size."""

    def __init__(self, keys):
        self.keys = keys
        self.scans = 0

    def run(self, commands):
        answers = []
        for command in commands:
            if command[0] == "SCAN":
                self.scans += 1
                start, end = command[1], command[1] + command[3]
                answers.append([b"%d" % (0 if end >= len(self.keys) else end), self.keys[start:end]])
            elif command[0] == "DBSIZE":
                answers.append(len(self.keys))
            else:
                answers.append(100 if command[0] == "MEMORY" else 60_000)
        return answers


def read(scan):
    from topmast_exporter.collector import Reading

    reading = Reading()
    scan.read_into(reading)
    return reading


def test_a_sweep_counts_every_key_exactly():
    scan = NamespaceScan({"llm": "llm:*", "session": "session:*"}, clock=lambda: 0.0)

    scan.tick(FakeServer([b"llm:%d" % n for n in range(1200)] + [b"else"]).run)

    counted = {name: read(scan).value("cache_keys", namespace=name) for name in ("llm", "session", "_other")}
    assert counted == {"llm": 1200, "session": 0, "_other": 1}


def test_a_tick_stays_within_its_budget_and_the_first_sweep_is_scaled_up():
    scan = NamespaceScan({"llm": "llm:*"}, budget_calls=2, clock=lambda: 0.0)
    server = FakeServer([b"llm:%d" % n for n in range(10_000)])

    scan.tick(server.run)

    assert server.scans == 2
    assert read(scan).value("cache_keys", namespace="llm") == 10_000


def test_the_first_look_is_short_and_the_next_ticks_have_their_whole_budget():
    now = [0.0]

    def clock():
        now[0] += 0.005  # each look at the clock: two a SCAN
        return now[0]

    scan = NamespaceScan({"llm": "llm:*"}, budget_calls=15, clock=clock)
    server = FakeServer([b"llm:%d" % n for n in range(50_000)])

    scan.tick(server.run)
    first = server.scans
    scan.tick(server.run)

    assert (first, server.scans - first) == (5, 15)
    assert read(scan).value("cache_keys", namespace="llm") == 50_000


def test_bytes_and_ttl_come_from_a_sample():
    scan = NamespaceScan({"llm": "llm:*"}, clock=lambda: 0.0)

    scan.tick(FakeServer([b"llm:%d" % n for n in range(200)]).run)

    assert read(scan).value("cache_memory_bytes", namespace="llm") == 20_000
    assert read(scan).value("cache_avg_ttl_seconds", namespace="llm") == 60.0


def test_nothing_is_exposed_before_the_first_scan():
    assert read(NamespaceScan({"llm": "llm:*"})).metrics() == []


@pytest.fixture
def source(valkey):
    source = RedisSource(Config(target="cache", url=valkey, namespaces={"rag": "rag:*"}, timeout_seconds=1.0))
    yield source
    source.close()


def test_a_namespace_whose_sizes_are_refused_says_so_and_has_its_keys():
    class Managed(FakeServer):
        def run(self, commands):
            refusal = redis.exceptions.ResponseError("ERR unknown command 'MEMORY'")
            answers = super().run(commands)
            return [refusal if one[0] == "MEMORY" else answer for one, answer in zip(commands, answers, strict=True)]

    scan = NamespaceScan({"llm": "llm:*"}, clock=lambda: 0.0)

    scan.tick(Managed([b"llm:1"]).run)

    assert scan.sizes_refused == "ERR unknown command 'MEMORY'"
    assert read(scan).value("cache_keys", namespace="llm") == 1
    assert read(scan).value("cache_memory_bytes", namespace="llm") is None


def test_a_real_server_is_read_whole(valkey, source):
    with redis.Redis.from_url(valkey) as client:
        client.flushdb()
        client.set("rag:1", "x" * 100, ex=100)
        client.set("plain", "y")

    reading = source.collect()

    assert reading.refused == {}
    assert reading.value("redis_db_keys", db="db0") == 2
    assert reading.value("cache_keys", namespace="rag") == 1
    assert 0 < reading.value("cache_avg_ttl_seconds", namespace="rag") <= 100
    assert reading.value("redis_config_maxclients") == 10_000
    assert {"redis_slowlog_length", "redis_connected_clients"} <= {metric.name for metric in reading.metrics()}
    assert reading.value("redis_commands_latencies_usec_count", cmd="set") == reading.value(
        "redis_commands_total", cmd="set"
    )


def test_a_frozen_server_is_a_timeout_and_the_next_refresh_finds_it_again(valkey_server, source):
    source.collect()
    with valkey_server.frozen(), pytest.raises(CollectError) as refused:
        source.collect()

    assert refused.value.reason == "timeout"
    assert source.collect().value("redis_connected_clients") == 1  # and no connection was left behind


def test_a_server_with_a_password_reads_it_from_its_file_each_time(start_valkey, tmp_path):
    server = start_valkey("--requirepass", "first")
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    source = RedisSource(Config(target="cache", url=server.url, password_file=str(secret)))

    with pytest.raises(CollectError) as refused:
        source.collect()
    secret.write_text("first\n")

    assert refused.value.reason == "authentication"
    assert source.collect().value("redis_connected_clients") == 1
    source.close()


def test_a_server_that_is_down_is_a_connection_failure_and_names_no_password(port):
    source = RedisSource(Config(target="cache", url=f"redis://user:secret@127.0.0.1:{port}/0"))

    with pytest.raises(CollectError) as refused:
        source.collect()

    assert refused.value.reason == "connection"
    assert "secret" not in str(refused.value)


def test_an_acl_without_slowlog_and_scan_costs_only_these(valkey, start_valkey):
    server = start_valkey()
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser("narrow", enabled=True, passwords=["+pw"], commands=["+info", "+config|get", "+latency"])
    url = server.url.replace("redis://", "redis://narrow:pw@")
    source = RedisSource(Config(target="cache", url=url, namespaces={"rag": "rag:*"}))

    reading = source.collect()

    assert set(reading.refused) == {"SLOWLOG LEN", "SCAN"}
    assert reading.value("redis_connected_clients") == 1
    source.close()


class OldWords(socketserver.StreamRequestHandler):
    """A service that knows INFO without a section, and of that only some; every other command is refused."""

    def handle(self):
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2).strip() for _ in range(int(line[1:]))]
            text = b"# Server\r\nredis_version:7.0.0\r\n# Clients\r\nconnected_clients:3\r\n"
            known = words == [b"INFO"]
            self.wfile.write(b"$%d\r\n%s\r\n" % (len(text), text) if known else b"-NOPERM not for you\r\n")


def test_sections_of_info_that_are_refused_are_left_out_and_the_rest_is_read(caplog):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OldWords) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        targets = Targets(Registry())
        target = targets.add(load("redis"), Config("managed", f"redis://127.0.0.1:{server.server_address[1]}"))

        with caplog.at_level("WARNING"):
            read_well = [target.refresh(), target.refresh()]

        target._source.close()
        server.shutdown()

    assert read_well == [True, True]
    assert [record.part for record in caplog.records].count("INFO everything") == 1
    shown = {metric.name: metric.samples[0].value for metric in target.snapshot().metrics}
    assert shown["redis_connected_clients"] == 3
    assert "redis_memory_used_bytes" not in shown


# What each of them keeps to itself is told in the services' own documentation; a real server plays each here.
MANAGED = {
    "rename-command": (
        [
            word
            for name in ("CONFIG", "SLOWLOG", "LATENCY", "MEMORY", "SCAN")
            for word in ("--rename-command", name, "")
        ],
        {"CONFIG GET", "SLOWLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM", "SCAN"},
    ),
    "an ACL": (
        ["--user", "default", "on", "nopass", "~*", "+@all", "-config", "-latency", "-memory", "-slowlog|get"],
        {"CONFIG GET", "LATENCY LATEST", "LATENCY HISTOGRAM", "SLOWLOG GET", "MEMORY USAGE"},
    ),
}


@pytest.mark.live
@pytest.mark.parametrize("how", MANAGED)
def test_what_a_restricted_redis_refuses_is_left_out_said_once_and_counted(start_redis, caplog, how):
    options, refused = MANAGED[how]
    server = start_redis(*options)
    with redis.Redis(port=server.port) as client:
        client.set("llm:1", "x")
    registry = Registry()
    targets = Targets(registry)
    target = targets.add(
        load("redis"), Config("managed", f"redis://127.0.0.1:{server.port}", namespaces={"llm": "llm:*"})
    )

    with caplog.at_level("WARNING"):
        read_well = [target.refresh(), target.refresh()]

    target.stop()
    assert read_well == [True, True]
    assert {record.part for record in caplog.records} == refused
    assert len(caplog.records) == len(refused)
    text = render(registry)[0].decode()
    assert f'exporter_collector_parts_refused{{collector="redis",target="managed"}} {float(len(refused))}' in text
    assert f'exporter_collector_failures_total{{collector="redis",reason="permission"}} {2.0 * len(refused)}' in text
    names = {metric.name for metric in target.snapshot().metrics}
    assert {"redis_connected_clients", "redis_config_maxclients", "redis_commands"} <= names
    assert "redis_config_maxmemory" not in names


# --- TLS, users, a cluster -----------------------------------------------------------------------


@pytest.mark.live
def test_tls_with_an_authority_of_its_own_and_a_user_of_the_acl(start_redis, tmp_path, port):
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    pair.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "password").write_text("s3cret\n")
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)  # the server runs as nobody
    files = {"cert-file": "cert.pem", "key-file": "key.pem", "ca-cert-file": "ca.pem"}
    tls = [word for name, file in files.items() for word in (f"--tls-{name}", str(tmp_path / file))]
    allowed = "+info +ping +dbsize +scan +pttl +memory|usage +slowlog|len +slowlog|get +latency|latest"
    allowed += " +latency|histogram +config|get"
    user = ["--user", "watch", "on", ">s3cret", "~*", *allowed.split()]
    start_redis("--tls-port", str(port), "--tls-auth-clients", "no", *tls, *user)
    options = {"url": f"rediss://watch@localhost:{port}/0", "password_file": str(tmp_path / "password")}

    trusting = RedisSource(Config("tls", **options, ca_file=str(tmp_path / "ca.pem"), namespaces={"llm": "llm:*"}))
    reading = trusting.collect()
    trusting.close()
    with pytest.raises(CollectError, match="certificate verify failed") as refused:
        RedisSource(Config("tls", **options)).collect()

    assert reading.refused == {}
    assert reading.value("cache_keys", namespace="llm") == 0
    assert refused.value.reason == "connection"


@pytest.mark.parametrize(
    "kind", [pytest.param("redis", id="Redis", marks=pytest.mark.live), pytest.param("valkey", id="Valkey")]
)
def test_of_a_cluster_each_node_counts_its_own_keys(kind, request, tmp_path, eventually):
    start = request.getfixturevalue(f"start_{kind}")
    buses = [free_port() for _ in range(3)]  # by default 10,000 above the port, which may be no port at all
    nodes = []
    for bus in buses:
        options = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
        if kind == "valkey":  # the other has a folder of its own
            options += ["--dir", str(tmp_path), "--cluster-config-file", f"{bus}.conf"]
        nodes.append(start(*options))
    clients = [redis.Redis(port=node.port) for node in nodes]
    for client, slots in zip(clients, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
        client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
        client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
    eventually(lambda: all(c.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for c in clients), "a cluster")
    with redis.RedisCluster(host="127.0.0.1", port=nodes[0].port) as cluster:
        for number in range(90):
            cluster.set(f"llm:{number}", "x")
    for client in clients:
        client.close()

    sources = [
        RedisSource(Config(f"n{number}", f"redis://127.0.0.1:{node.port}", namespaces={"llm": "llm:*"}))
        for number, node in enumerate(nodes)
    ]
    readings = [source.collect() for source in sources]
    for source in sources:
        source.close()

    assert sum(reading.value("cache_keys", namespace="llm") for reading in readings) == 90
    assert [reading.value("redis_cluster_enabled") for reading in readings] == [1, 1, 1]


def test_the_module_ends_in_its_constant():
    assert load("redis").up == "redis_up"

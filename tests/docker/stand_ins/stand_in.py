"""A stand-in for an image that cannot be had: `stand_in.py NAME [PORT]`. It is none of the real software.

It fails where the real one would miss something that the compose file promises: a secret that it cannot read, a
configuration that is not mounted, a data folder that it cannot write.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HEALTH = {
    "grafana": (3000, "/api/health", '{"database": "ok", "version": "stand-in"}'),
    "kibana": (5601, "/api/status", '{"status":{"overall":{"level":"available"}}}'),
    "logstash": (9600, "/_health_report", '{"status":"green"}'),
    "cadvisor": (8080, "/healthz", "ok"),
}
# What a scrape or our exporter asks beside it: little, so that a stop is seen.
ALSO = {
    "grafana": ("/metrics", "grafana_stat_total_users 1\n"),
    "cadvisor": ("/metrics", "machine_cpu_cores 1\n"),
    "logstash": ("/_node/stats", '{"version": "stand-in", "pipelines": {}}'),
}
NEEDS = {
    "grafana": [
        "/run/topmast/grafana-admin-password",
        "/run/topmast/grafana-secret-key",
        "/run/topmast/elasticsearch-password",
        "/etc/grafana/provisioning",
        "/etc/grafana/dashboards",
    ],
    "kibana": ["/run/topmast/kibana.yml", "/usr/share/kibana/config/kibana.yml"],
    "logstash": [
        "/run/topmast/tls/logstash.key",
        "/run/topmast/tls/logstash.crt",
        "/usr/share/logstash/pipeline/intake.conf",
        "/usr/share/logstash/config/pipelines.yml",
        "/usr/share/logstash/config/logstash.yml",
    ],
    "elasticsearch": ["/usr/share/elasticsearch/config/elasticsearch.yml"],
    "cadvisor": ["/sys/fs/cgroup"],
}
WRITES = {
    "grafana": "/var/lib/grafana",
    "kibana": "/usr/share/kibana/data",
    "logstash": "/usr/share/logstash/data",
    "elasticsearch": "/usr/share/elasticsearch/data",
}  # fmt: skip


def check(name: str) -> None:
    for path in map(Path, NEEDS[name]):
        _ = path.read_bytes() if path.is_file() else list(path.iterdir())
    if name in WRITES:
        Path(WRITES[name], "stand-in").write_text("written\n")
    if name == "logstash" and not os.environ.get("LOGSTASH_WRITER_PASSWORD"):
        sys.exit("LOGSTASH_WRITER_PASSWORD is not set")


def elasticsearch() -> None:
    from elasticsearch_stand_in import StandIn, serve

    kept = Path(WRITES["elasticsearch"], "stand-in.json")

    class Healthy(StandIn):
        def keep(self) -> None:
            """What was put lives in the volume, as with the real one."""
            kept.write_text(json.dumps([self.passwords, self.things, self.tokens]))

        def answer(self, method: str, path: str, login: tuple[str, str], body: object) -> tuple[int, object]:
            if path.startswith("/_cluster/health") and self.passwords.get(login[0]) == login[1]:
                shards = {"active_shards": 1, "unassigned_shards": 0, "number_of_data_nodes": 1}
                return 200, {"cluster_name": "stand-in", "status": "green", "timed_out": False, **shards}
            if path.startswith("/_nodes/") and self.passwords.get(login[0]) == login[1]:
                return 200, {"cluster_name": "stand-in", "nodes": {}}
            if path == "/_stand_in/changes":
                return 200, self.changes
            if path == "/_stand_in/documents":
                return 200, {each: body for each, body in self.things.items() if "/_create/" in each}
            told = super().answer(method, path, login, body)
            if method != "GET":
                self.keep()
            return told

    password = Path(os.environ["ELASTIC_PASSWORD_FILE"])
    # What the real entry point refuses (env-from-file.sh).
    if password.stat().st_mode & 0o777 not in (0o400, 0o600):
        sys.exit(f"{password}: must have file permissions 400 or 600")
    known = Healthy({"elastic": password.read_text()})
    if kept.is_file():
        known.passwords, known.things, known.tokens = json.loads(kept.read_text())
    with serve(known, ("0.0.0.0", 9200)):  # noqa: S104 - inside a container
        threading.Event().wait()


def kibana() -> None:
    """Keep saved objects, of whom Elasticsearch's stand-in knows. The real one keeps them in Elasticsearch."""
    import urllib.error
    import urllib.request

    from kibana_stand_in import StandIn, handler

    kept = Path(WRITES["kibana"], "stand-in.json")

    def accepts(login: str) -> bool:
        request = urllib.request.Request("http://elasticsearch:9200/_security/_authenticate")
        request.add_header("authorization", login)
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError:
            return False
        return True

    class Keeping(StandIn):
        def take(self, query: str, content_type: str, body: bytes) -> tuple[int, object]:
            told = super().take(query, content_type, body)
            kept.write_text(json.dumps(self.objects))
            return told

    known = Keeping(accepts, json.loads(kept.read_text()) if kept.is_file() else {})
    port, path, answer = HEALTH["kibana"]
    ThreadingHTTPServer(("0.0.0.0", port), handler(known, {path: answer})).serve_forever()  # noqa: S104 - inside a container


def logstash() -> None:
    """Take Lumberjack with the stack's certificate, carry the mounted pipelines out, and store as their user."""
    import ssl
    import tempfile
    import urllib.request

    from topmast.logstash.pipelines import Pipelines
    from topmast_shipper.testing_lumberjack import LumberjackServer

    folder = Path(tempfile.mkdtemp())
    for name in ("config/pipelines.yml", "pipeline"):
        (folder / Path(name).name).symlink_to(Path("/usr/share/logstash", name))
    pipelines = Pipelines(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/run/topmast/tls/logstash.crt", "/run/topmast/tls/logstash.key")
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    password = os.environ["LOGSTASH_WRITER_PASSWORD"]
    passwords.add_password(None, "http://elasticsearch:9200", "logstash_writer", password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))

    def forward() -> None:
        done = 0
        while True:
            server.wait_for(lambda done=done: len(server.events) > done, seconds=1e6)
            for event in server.events[done:]:
                done += 1
                for stored in pipelines.run("intake", event):
                    request = urllib.request.Request(
                        f"http://elasticsearch:9200/{stored.place}/_create/{stored.id}",
                        json.dumps(stored.document).encode(),
                        {"content-type": "application/json"},
                        method="PUT",
                    )
                    opener.open(request, timeout=10).close()

    server = LumberjackServer(tls=context, host="0.0.0.0", port=5044)  # noqa: S104 - inside a container
    threading.Thread(target=forward, daemon=True).start()


def accepts() -> None:
    """End as `logstash -t` does: its words, and 1 when a pipeline is refused. Only the grammar is looked at."""
    import yaml
    from topmast.logstash.lscl import LsclError, parse

    settings = Path("/usr/share/logstash/config/pipelines.yml")
    for each in yaml.safe_load(settings.read_text()):
        try:
            parse(Path(each["path.config"]).read_text())
        except LsclError as error:
            sys.exit(f"[FATAL][logstash.runner] The given configuration is invalid. Reason: {error}")
    sys.stdout.write("Configuration OK\n")


def main() -> None:
    name = sys.argv[1]
    check(name)
    if name == "logstash" and "-t" in sys.argv:
        accepts()
        return
    if name == "logstash":
        logstash()
    if name == "elasticsearch":
        elasticsearch()
        return
    if name == "kibana":
        kibana()
        return
    port, path, answer = HEALTH[name]
    answers = dict([(path, answer), *([ALSO[name]] if name in ALSO else [])])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path, "not found").encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()  # noqa: S104 - inside a container


if __name__ == "__main__":
    main()

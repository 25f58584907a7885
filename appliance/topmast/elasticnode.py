"""A real Elasticsearch for tests, proofs and benchmarks: its jars from Maven, one node, no container.

Only the server itself is to be had that way: no security, no lifecycle management, no Kibana, no ingest processors,
and of the field types those of the core (no `match_only_text`, no `constant_keyword`). `GET /` is not there either.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import requests

from topmast.errors import PrerequisiteError
from topmast.layout import Layout

VARIABLE = "TOPMAST_ELASTICSEARCH"
_MAVEN_SECONDS = 600
_READY_SECONDS = 120.0
_STEP_SECONDS = 0.1
_HEAP = "256m"
# The batch compiler of Eclipse is one jar: maven brings a runtime, and no javac.
_COMPILER = "ecj"

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>topmast</groupId><artifactId>elasticnode</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.elasticsearch</groupId><artifactId>elasticsearch</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.elasticsearch.plugin</groupId><artifactId>transport-netty4</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.eclipse.jdt</groupId><artifactId>ecj</artifactId><version>3.33.0</version></dependency>
  </dependencies>
</project>
"""
_DESCRIPTOR = """\
name=transport-netty4
description=HTTP
classname=org.elasticsearch.transport.netty4.Netty4Plugin
modulename=org.elasticsearch.transport.netty4
version={version}
elasticsearch.version={version}
java.version={java}
extended.plugins=
has.native.controller=false
"""
_LAUNCHER = """\
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;

/** Runs one node until the standard input ends; each argument is a setting, name=value. */
public class Launcher {
    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        Environment environment = new Environment(settings.build(), null);
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging();
        Node node = NODE;
        node.start();
        while (System.in.read() >= 0) { }
        Runtime.getRuntime().halt(0);
    }
}
"""


class _Release(NamedTuple):
    version: str
    java: int
    """The oldest that it runs on."""
    node: str
    """How its node is made."""


# The newest of each line that is to be had so; each with the Java that it wants.
_RELEASES = (
    _Release(
        "9.0.4",
        21,
        "new Node(environment, org.elasticsearch.plugins.PluginsLoader.createPluginsLoader("
        "org.elasticsearch.plugins.PluginsLoader.loadModulesBundles(environment.modulesDir()), "
        "org.elasticsearch.plugins.PluginsLoader.loadPluginsBundles(environment.pluginsDir()), java.util.Map.of()))",
    ),
    _Release("8.15.3", 17, "new Node(environment)"),
)


_NEAREST = {"match_only_text": "text", "constant_keyword": "keyword"}


@dataclass(frozen=True)
class Installed:
    """What a node is started from."""

    version: str
    java: str
    folder: Path


def as_known(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return an index template as far as this server knows it: the nearest type of a core field, no lifecycle."""
    known: dict[str, Any] = {**template, "template": {**template["template"]}}
    known["template"]["mappings"] = _nearest(template["template"]["mappings"])
    known["template"]["settings"] = {
        name: value for name, value in template["template"]["settings"].items() if name != "index.lifecycle.name"
    }
    return known


def _nearest(mapping: Any) -> Any:
    if isinstance(mapping, list):
        return [_nearest(each) for each in mapping]
    if not isinstance(mapping, Mapping):
        return mapping
    found = {key: _nearest(value) for key, value in mapping.items()}
    if found.get("type") == "constant_keyword":
        found.pop("value", None)
    if isinstance(found.get("type"), str):
        found["type"] = _NEAREST.get(found["type"], found["type"])
    return found


def find(layout: Layout) -> Installed | None:
    """Return what was installed, as the environment names it or as it lies in the state folder; None when not."""
    try:
        java, release = _java()
    except PrerequisiteError:
        return None
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else _folder(layout, release)
    return Installed(release.version, java, folder.resolve()) if (folder / "Launcher.class").is_file() else None


def install(layout: Layout, say: Callable[[str], None]) -> Installed:
    """Return an Elasticsearch that can be started, fetched by maven if it is not there (38 MB).

    Raises PrerequisiteError when there is no java or no mvn, or with maven's words.
    """
    found = find(layout)
    if found is not None:
        return found
    java, release = _java()
    if shutil.which("mvn") is None:
        raise PrerequisiteError("no mvn on PATH to fetch an Elasticsearch with (Debian: apt install maven)")
    folder = _folder(layout, release)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"fetching Elasticsearch {release.version} with maven, once")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".elasticsearch-") as making:
        # under its final name only when it is whole
        built = Path(making) / "built"
        built.mkdir()
        _lay_out(built, release, java)
        try:
            built.rename(folder)
        except OSError as error:
            raise PrerequisiteError(f"{folder}: {error.strerror}") from error
    return Installed(release.version, java, folder)


def _java() -> tuple[str, _Release]:
    """Return the java of this machine, and the newest release that it can run."""
    java = os.environ.get("TOPMAST_JAVA") or shutil.which("java")
    if java is None:
        raise PrerequisiteError("no java on PATH (Debian: apt install openjdk-17-jre-headless)")
    said = _run([java, "-version"], Path.cwd())
    matched = re.search(r'version "(\d+)', said)
    major = int(matched[1]) if matched else 0
    for release in _RELEASES:
        if major >= release.java:
            return java, release
    raise PrerequisiteError(f"{java}: Java {major}; Elasticsearch needs {_RELEASES[-1].java} or newer")


def _folder(layout: Layout, release: _Release) -> Path:
    return layout.engines / f"elasticsearch-{release.version}"


def _lay_out(folder: Path, release: _Release, java: str) -> None:
    """Fill the folder: core/ is the module path, home/ what the server looks at, beside the launcher."""
    (folder / "pom.xml").write_text(_POM.format(version=release.version))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"]
    _run(["mvn", "-q", "-B", *goal], folder)
    core, transport = folder / "core", folder / "home/modules/transport-netty4"
    for each in (core, transport, *(folder / "home" / name for name in ("config", "plugins", "lib"))):
        each.mkdir(parents=True)
    compiler: list[Path] = []
    for jar in sorted((folder / "jars").glob("*.jar")):
        if jar.name.startswith(_COMPILER + "-"):
            compiler.append(jar)
        else:
            jar.rename((transport if "netty" in jar.name else core) / jar.name)
    (transport / "plugin-descriptor.properties").write_text(
        _DESCRIPTOR.format(version=release.version, java=release.java)
    )
    (folder / "home/config/log4j2.properties").write_text("status = error\n")
    (folder / "Launcher.java").write_text(_LAUNCHER.replace("NODE", release.node))
    path = os.pathsep.join(str(jar) for jar in core.glob("*.jar"))
    argv = [java, "-jar", str(compiler[0]), "--release", "17", "-nowarn", "-proc:none", "-cp", path, "-d", "."]
    _run([*argv, "Launcher.java"], folder)


def _run(argv: list[str], cwd: Path) -> str:
    """Return everything that a program said. Raises PrerequisiteError with its last words."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_MAVEN_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PrerequisiteError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise PrerequisiteError(f"{Path(argv[0]).name}: {' '.join(lines[:3])[:400]}")
    return done.stdout + done.stderr


@dataclass
class Node:
    """One node on 127.0.0.1: its data outlives its process, its address too."""

    installed: Installed
    folder: Path
    """Its data and its log."""
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers. Raises PrerequisiteError with its last words when it does not."""
        at = self.installed.folder
        settings = {
            "path.home": str(at / "home"),
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "http.port": str(self.port),
            "transport.port": str(_free_port()),
            "network.host": "127.0.0.1",
            "discovery.type": "single-node",
            # a developer's full disk is no matter of the tests
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **self.settings,
        }
        argv = [self.installed.java, f"-Xms{_HEAP}", f"-Xmx{_HEAP}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        argv += ["--module-path", str(at / "core"), "--add-modules=ALL-MODULE-PATH", "-cp", str(at), "Launcher"]
        argv += [f"{name}={value}" for name, value in settings.items()]
        log = self.folder / "node.log"
        with log.open("ab") as output:
            # its standard input ends with us, however we end, and it with that
            self.process = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise PrerequisiteError(f"Elasticsearch does not start: {log.read_text()[-800:]}")
            time.sleep(_STEP_SECONDS)

    def kill(self) -> None:
        """Kill it -9, in the middle of whatever it does; `start` brings it back with what it had fsync'd."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        """Return the answer to a request with a JSON body, whatever its status."""
        return requests.request(method, self.url + path, json=body, timeout=60)

    def _answers(self) -> bool:
        try:
            # yellow: every shard can be written to; with nothing in it, at once
            return self.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=5s").ok
        except requests.RequestException:
            return False


@contextmanager
def running(installed: Installed, settings: Mapping[str, str] | None = None) -> Iterator[Node]:
    """Run a node in a folder of its own until the block is left."""
    with tempfile.TemporaryDirectory(prefix="topmast-elasticsearch-", ignore_cleanup_errors=True) as folder:
        node = Node(installed, Path(folder), _free_port(), settings or {})
        try:
            node.start()
            yield node
        finally:
            node.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

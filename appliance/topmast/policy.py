"""What every service of the compose files must be. A table: each exception stands here with its reason."""

import re
from collections.abc import Mapping
from typing import Any

from topmast.compose import ONE_SHOTS

# (service, rule): why.
ALLOWED = {
    ("secrets", "non-root"): "gives each file to the one service that reads it; no network",
    ("secrets", "capabilities"): "chown and the right to write into folders of other owners",
    ("archive", "non-root"): "reads what each service alone may read, and gives it back; no network, never started",
    ("archive", "capabilities"): "as `secrets`: files of other owners",
    ("cadvisor", "non-root"): "cgroup files belong to root; it has no capability",
    ("elasticsearch", "read-only"): "the image's entry point writes its keystore beside the configuration",
    ("logstash", "read-only"): "not proved without the image: JRuby unpacks native code",
    ("gateway", "loopback"): "TLS and a password in front of all that it publishes",
}


def findings(stack: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (service, rule, what is wrong)."""
    found = []
    for name, service in stack["services"].items():

        def bad(rule: str, what: object, name: str = name) -> None:
            found.append((name, rule, str(what)))

        image = service["image"]
        # PostgreSQL's versions have two numbers.
        if not re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$|^postgres:\d+\.\d+(@|$)", image):
            bad("pinned", image)
        if image.startswith("topmast/") and (not service.get("build") or service.get("pull_policy") != "never"):
            bad("built here", f"{image}: Compose would ask a registry for a name that is not ours")
        if service.get("privileged"):
            bad("privileged", "privileged: true")
        if service.get("user", "0").split(":")[0] in ("0", "root"):
            bad("non-root", service.get("user"))
        if service.get("cap_drop") != ["ALL"]:
            bad("capabilities", f"cap_drop: {service.get('cap_drop')}")
        if service.get("cap_add"):
            bad("capabilities", f"cap_add: {service['cap_add']}")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            bad("no-new-privileges", service.get("security_opt"))
        if not service.get("read_only"):
            bad("read-only", "a writable root")
        for limit in ("mem_limit", "pids_limit"):
            if not service.get(limit):
                bad(limit, "no limit")
        if service.get("logging", {}).get("options", {}).keys() < {"max-size", "max-file"}:
            bad("log rotation", service.get("logging"))
        if name in ONE_SHOTS:
            if service.get("restart") != "no":
                bad("restart", service.get("restart"))
        elif "test" not in service.get("healthcheck", {}):
            bad("health", "no health check in the compose file")
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                bad("loopback", port)
        for key in ("network_mode", "pid", "ipc", "userns_mode"):
            if service.get(key) == "host":
                bad("namespaces", f"{key}: host")
        for volume in service.get("volumes", []):
            if volume["source"].endswith(("docker.sock", "containerd.sock")) or volume["source"] in (
                "/run",
                "/var/run",
            ):
                bad("docker.sock", volume["source"])
            if volume["type"] == "bind" and not volume.get("read_only"):
                bad("binds", f"{volume['source']} can be written")
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable) and not variable.endswith("_FILE"):
                bad("secrets", f"{variable}={value}")
    return found

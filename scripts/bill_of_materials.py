"""Print what is in a wheel or an image of ours, as a CycloneDX bill of materials (JSON, 1.6).

    .venv/bin/python scripts/bill_of_materials.py wheel topmast-exporter[standalone]
    .venv/bin/python scripts/bill_of_materials.py image topmast/exporter:TAG

A wheel's bill lists all that pip installs with it, at the versions of this environment, which are those of
constraints.txt. An image's bill is read inside the image: its Python packages and those of its distribution. The
same content gives the same bytes: no clock, no random serial number.
"""

import argparse
import json
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from topmast.installation import needs, wanted

# Asked inside the image, by its own Python: nothing of ours has to be in it.
ASK = """
import importlib.metadata as m, json, pathlib
def text(path):
    path = pathlib.Path(path)
    return path.read_text(errors="replace") if path.is_file() else ""
print(json.dumps({
    "python": [dict(d.metadata.json, requires=d.requires or []) for d in m.distributions()],
    "dpkg": text("/var/lib/dpkg/status"),
    "os": text("/etc/os-release"),
}))
"""
ENGINE_SECONDS = 120


@dataclass(frozen=True)
class Package:
    """One thing that is delivered: `kind` is the type of its package URL (pypi, deb), `licence` what it declares."""

    kind: str
    name: str
    version: str
    licence: str | None
    namespace: str | None = None
    needs: tuple[str, ...] = ()

    @property
    def url(self) -> PackageURL:
        return PackageURL(self.kind, self.namespace, self.name, self.version)


def licence_of(told: Mapping[str, Any]) -> str | None:
    """Return the licence that a distribution's core metadata (PEP 566 as JSON) declares; None when it names none."""
    if expression := told.get("license_expression"):
        return str(expression)
    classified = [line.rpartition(" :: ")[2] for line in told.get("classifier", []) if line.startswith("License :: ")]
    # Some put the licence's whole text into the field: its name stands in the first line.
    written = str(told.get("license") or "").strip().splitlines()
    return (written[0][:100] if written else None) or (classified[0] if classified else None)


def python_package(told: Mapping[str, Any], needs: Iterable[str] = ()) -> Package:
    name = canonicalize_name(str(told["name"]))
    return Package("pypi", name, str(told["version"]), licence_of(told), needs=tuple(sorted(set(needs))))


def closure(root: str) -> list[Package]:
    """Return a distribution and all that it needs, itself first. Raises PackageNotFoundError when one is missing."""
    found = needs(root)
    top = canonicalize_name(Requirement(root).name)
    order = sorted(found, key=lambda name: (name != top, name))
    return [python_package(metadata.distribution(name).metadata.json, found[name]) for name in order]


def debian_packages(status: str, vendor: str) -> list[Package]:
    """Return the installed packages of dpkg's status file. Their licences stand in /usr/share/doc, in free text."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line[:40] and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found.append(Package("deb", fields["Package"], fields["Version"], None, vendor))
    return sorted(found, key=lambda package: package.name)


def image_packages(answer: str) -> list[Package]:
    """Return what an image told of itself (ASK's answer)."""
    told = json.loads(answer)
    named = dict(line.split("=", 1) for line in told["os"].splitlines() if "=" in line)
    python = {}
    for one in told["python"]:
        needs = [canonicalize_name(parsed.name) for text in one["requires"] if (parsed := wanted(text, ()))]
        package = python_package(one, needs)
        python[package.name] = package
    return [
        *(python[name] for name in sorted(python)),
        *debian_packages(told["dpkg"], named.get("ID", "debian").strip('"')),
    ]


def component(package: Package, type_: ComponentType = ComponentType.LIBRARY) -> Component:
    licences = [LicenseFactory().make_from_string(package.licence)] if package.licence else []
    return Component(
        name=package.name,
        version=package.version,
        type=type_,
        purl=package.url,
        bom_ref=str(package.url),
        licenses=licences,
    )


def bill(subject: Component, packages: Sequence[Package]) -> str:
    """Return the bill of `subject`, which holds `packages`: CycloneDX 1.6, JSON, indented."""
    parts = {package.name: component(package) for package in packages if str(package.url) != str(subject.purl)}
    made = Bom(components=parts.values())
    made.metadata.component = subject
    known = {**parts, subject.name: subject}
    needed: set[str] = set()
    for package in packages:
        children = [known[name] for name in package.needs if name in known]
        made.register_dependency(known[package.name], children)
        needed |= set(package.needs)
    # What nothing else brings stands below the image itself.
    if not any(str(package.url) == str(subject.purl) for package in packages):
        made.register_dependency(subject, [part for name, part in parts.items() if name not in needed])
    content = f"{subject.purl or subject.name} {sorted(str(package.url) for package in packages)}"
    made.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, content)
    document = json.loads(make_outputter(made, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del document["metadata"]["timestamp"]
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def wheel_bill(root: str) -> str:
    packages = closure(root)
    return bill(component(packages[0], ComponentType.LIBRARY), packages)


def image_bill(tag: str, answer: str) -> str:
    name, _, version = tag.rpartition(":")
    subject = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=tag)
    return bill(subject, image_packages(answer))


def ask(tag: str) -> str:
    """Return what an image tells of itself. Raises SystemExit with the engine's words when it cannot be run."""
    argv = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", tag, "-c", ASK]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=ENGINE_SECONDS, check=False)
    except FileNotFoundError as error:
        raise SystemExit("bill_of_materials: no docker on this machine; an image is read by running it") from error
    if done.returncode != 0:
        raise SystemExit(f"bill_of_materials: {tag}: {done.stderr.strip()}")
    return done.stdout


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="bill_of_materials", description="A CycloneDX bill of materials of a wheel or an image of ours."
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    wheel = kinds.add_parser("wheel", help="a distribution and all that pip installs with it")
    wheel.add_argument("name", help="its name, with its extras: topmast-exporter[standalone]")
    image = kinds.add_parser("image", help="all that is in an image, read inside it")
    image.add_argument("tag", help="its name and tag, as in the compose file")
    asked = parser.parse_args(arguments)
    if asked.kind == "image":
        answer = ask(asked.tag)
        if not json.loads(answer)["dpkg"]:
            print("bill_of_materials: no dpkg database in it: only its Python packages are listed", file=sys.stderr)
        sys.stdout.write(image_bill(asked.tag, answer))
        return
    try:
        sys.stdout.write(wheel_bill(asked.name))
    except metadata.PackageNotFoundError as error:
        raise SystemExit(f"bill_of_materials: {error} in this environment; run ./topmast test once") from error


if __name__ == "__main__":
    main(sys.argv[1:])

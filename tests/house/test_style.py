"""The laws of style that no linter knows."""

import io
import re
import tokenize
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
MAX_TEST_LINES = 600

# Not ours: minified, or the licence's own words.
FOREIGN = ("LICENSE", "appliance/topmast/page/static/vendor/")


def found(texts: dict[str, str], pattern: str, only: str = "") -> list[str]:
    """Return `file:line: text` for each match, this file aside."""
    compiled = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts.items()
        if not name.startswith(FOREIGN) and name != "tests/house/test_style.py" and re.search(only, name)
        for number, line in enumerate(text.splitlines(), 1)
        if compiled.search(line)
    ]


def test_modules_stay_readable(texts: dict[str, str]) -> None:
    """A table of cases may be longer than what it tests."""
    long = {
        name: lines
        for name, text in texts.items()
        if name.endswith((".py", ".js", ".sh")) and not name.startswith(FOREIGN)
        if (lines := text.count("\n")) > (MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES)
    }

    assert long == {}


def test_every_module_says_what_it_is_for(texts: dict[str, str]) -> None:
    silent = [
        name
        for name, text in texts.items()
        if name.endswith(".py") and not re.match(r'(#!.*\n|# .*\n)*"""\S', text) and text.strip()
    ]

    assert [name for name in silent if not name.startswith("tests/")] == []


def test_no_path_of_a_developers_machine(texts: dict[str, str]) -> None:
    assert found(texts, r"(?<![\w.])/(home|Users)/\w|(?<![\w./])/(root|work)/\w|/tmp/plan") == []


def test_no_package_registry_is_named(texts: dict[str, str]) -> None:
    """Packages come from wherever the user's pip and apt are set up to look."""
    hosts = r"pypi\.org|pythonhosted\.org|registry\.npmjs|repo1?\.maven|proxy\.golang|deb\.debian\.org"

    assert found(texts, hosts + r"|--(extra-)?index-url") == []


def test_nothing_is_left_for_later(texts: dict[str, str]) -> None:
    assert found(texts, r"(#|//|<!--).*\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError") == []


def comments(text: str) -> list[tuple[int, str]]:
    return [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]


def unexplained(text: str) -> list[int]:
    """Return the lines whose lint exception names no code or gives no reason."""
    wrong = []
    for line, comment in comments(text):
        if re.search(r"\bnoqa\b", comment):
            fine = re.search(r"# (ruff: )?noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* +([-–#:] *)?\w.{3}", comment)
        elif re.search(r"#\s*type:\s*ignore", comment):
            fine = re.search(r"# type: ignore\[[\w, -]+\] +[-–#] *\w.{5}", comment)
        elif "pragma: no cover" in comment:
            fine = re.search(r"pragma: no cover +[-–#] *\w.{5}", comment)
        else:
            continue
        if not fine:
            wrong.append(line)
    return wrong


def test_every_lint_exception_gives_its_reason(texts: dict[str, str]) -> None:
    silent = {name: unexplained(text) for name, text in texts.items() if name.endswith(".py")}

    assert {name: lines for name, lines in silent.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        pytest.param("x = 1  # noqa: S101 - the schema says so", [], id="noqa with a reason"),
        pytest.param("x = 1  # noqa: S101, S102 the schema says so", [], id="two codes and a reason"),
        pytest.param("x = 1  # noqa: S101", [1], id="noqa without a reason"),
        pytest.param("x = 1  # noqa", [1], id="noqa without a code"),
        pytest.param("x = 1  # type: ignore[misc]  # click has no types", [], id="type ignore with a reason"),
        pytest.param("x = 1  # type: ignore[misc]", [1], id="type ignore without a reason"),
        pytest.param("x = '# noqa'", [], id="in a string"),
    ],
)
def test_unexplained(line: str, wrong: list[int]) -> None:
    assert unexplained(line + "\n") == wrong


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs/architecture.md"])
def test_what_a_stranger_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text()


def test_test_folders_are_no_packages(tracked: list[Path]) -> None:
    tests = ROOT / "tests"

    assert [p for p in tracked if p.name == "__init__.py" and p.is_relative_to(tests)] == []


def test_an_engine_has_its_version_in_one_place(texts: dict[str, str]) -> None:
    """The image tags of the compose file: nothing else names one, and none is `latest`."""
    stack = yaml.safe_load(texts["docker-compose.monitoring.yml"])
    images = {service["image"].rpartition(":")[0] for service in stack["services"].values()}
    pattern = "|".join(re.escape(image) for image in images)

    assert found(texts, rf"({pattern}):v?\d", only=r"^(?!docker-compose\.monitoring\.yml$)") == []
    assert found(texts, r"image: .*:latest|FROM .*:latest") == []


def test_relative_links_lead_somewhere(texts: dict[str, str]) -> None:
    broken = []
    for name, text in texts.items():
        if not name.endswith(".md"):
            continue
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path = target.partition("#")[0]
            if path and not re.match(r"[a-z]+:", path) and not (ROOT / name).parent.joinpath(path).exists():
                broken.append(f"{name}: {target}")

    assert broken == []


def test_decisions_are_half_a_page_of_the_same_shape() -> None:
    wrong = []
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        text = path.read_text()
        parts = [
            part
            for part in ("Context", "Decision", "Consequence", "What would change our mind")
            if f"**{part}.**" not in text
        ]
        if parts or len(text.split()) > 450 or not re.match(rf"# {int(path.name[:4])}\. \S", text):
            wrong.append(f"{path.name}: {parts} {len(text.split())} words")

    assert wrong == []

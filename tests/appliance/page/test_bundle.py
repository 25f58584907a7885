"""Modules become one script that runs them in the order of their imports, or it is said why not."""

import shutil
import subprocess

import pytest
from topmast.page.bundle import BundleError, joined

MODULES = {
    "js/main.js": 'import { twice as doubled, NAME } from "./a/b.js";\n\n'
    'import(`./${"c"}.js`).then(({ say }) => say(NAME, doubled(21)));\n',
    "js/a/b.js": 'import { add } from "../add.js";\n\nexport const NAME = "b";\n'
    "/** Return twice as much. */\nexport function twice(n) {\n  return add(n, n);\n}\n",
    "js/add.js": "const hidden = 0;\nexport const add = (a, b) => a + b + hidden;\n",
    "js/c.js": "const hidden = 1;\nexport async function say(...words) {\n  console.log(hidden, ...words);\n}\n",
}


def test_imports_come_before_what_imports_them() -> None:
    script = joined({path: source for path, source in MODULES.items() if path != "js/main.js"}, "js/c.js")

    places = [script.index(f'$modules["{path}"] =') for path in ("js/add.js", "js/a/b.js", "js/c.js")]
    assert places == sorted(places)
    assert 'const { add } = $modules["js/add.js"];' in script
    assert "return { NAME, twice };" in script


def test_the_script_does_what_the_modules_do() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node; the browser suite runs the page's own script")
    script = joined(MODULES, "js/main.js")

    done = subprocess.run(
        [node, "--input-type=module"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.stdout) == ("", "1 b 42\n")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param('import * as all from "./b.js";\n', "a.js: not a form that can be joined", id="namespace"),
        pytest.param("export default 1;\n", "a.js: not a form that can be joined", id="default"),
        pytest.param("export let x = 1;\n", "a.js: not a form that can be joined", id="a binding that changes"),
        pytest.param('import { x } from "./no.js";\n', "a.js: imports no.js, which is not there", id="missing"),
        pytest.param('import { x } from "./b.js";\n', "imports itself", id="circle"),
    ],
)
def test_what_cannot_be_joined_is_named(source: str, told: str) -> None:
    with pytest.raises(BundleError, match=told):
        joined({"a.js": source, "b.js": 'import { y } from "./a.js";\n'}, "b.js")

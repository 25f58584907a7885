"""The page's modules as one script: a browser that opens the page waits for one answer instead of forty.

Nothing is compiled. Each module becomes a function that returns what it exports, after those it imports; its own
text stays as it is but for the words `import` and `export`. That works because the modules keep to one form of
each (STATEMENTS), which `joined` holds them to.
"""

import posixpath
import re
from collections.abc import Mapping

# The only forms there are: `import { a, b as c } from "./x.js";`, `export const|function|class NAME`.
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
_DYNAMIC = re.compile(r"\bimport\(")
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


class BundleError(ValueError):
    """A module is written in a form that cannot be joined; the message is `PATH: what is wrong`."""


def joined(modules: Mapping[str, str], entry: str) -> str:
    """Return one module script that runs `entry`; `modules` is source by path, such as `js/main.js`.

    Every module is in it, also one that is only imported by a path made at run time. Raises BundleError.
    """
    parts = [
        "const $modules = {};",
        "const $load = async (from, to) => $modules[new URL(to, `file:///${from}`).pathname.slice(1)];",
    ]
    for path in _ordered(modules, entry):
        parts.append(_wrapped(path, modules[path]))
    return "\n".join(parts) + "\n"


def _ordered(modules: Mapping[str, str], entry: str) -> list[str]:
    """Return the paths, imported before importing; the entry is the last."""
    done: list[str] = []

    def visit(path: str, above: tuple[str, ...]) -> None:
        if path in above:
            raise BundleError(f"{path}: imports itself by way of {' → '.join(above[above.index(path) :])}")
        if path in done:
            return
        if path not in modules:
            raise BundleError(f"{above[-1]}: imports {path}, which is not there")
        for _, wanted in _IMPORT.findall(modules[path]):
            visit(_resolved(path, wanted), (*above, path))
        done.append(path)

    for path in (*(each for each in sorted(modules) if each != entry), entry):
        visit(path, ())
    return done


def _resolved(path: str, wanted: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), wanted))


def _wrapped(path: str, source: str) -> str:
    """Return the module as `$modules[PATH] = (() => { … return {exports}; })();`."""

    def taken(found: re.Match[str]) -> str:
        names = found[1].replace(" as ", ": ")
        return f'const {{{names}}} = $modules["{_resolved(path, found[2])}"];\n'

    names = [name for _, name in _EXPORT.findall(source)]
    body = _DYNAMIC.sub(f'$load("{path}", ', _EXPORT.sub(r"\1 \2", _IMPORT.sub(taken, source)))
    if other := _OTHER.search(body):
        raise BundleError(f"{path}: not a form that can be joined: {other[0][:80]!r}")
    return f'$modules["{path}"] = (() => {{\n{body}return {{ {", ".join(names)} }};\n}})();'

"""Runbooks as a small tree of elements, so that the page builds them from text and never from HTML.

A node is a string (text) or `[tag, attributes, children]`. Markdown is read by markdown-it-py with raw HTML off; the
tags are those of `_TAGS`, the only attributes a checked `href`, a heading's `id` and a code block's `language`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it.token import Token

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
MAX_BYTES = 256 * 1024

_TEXT_TAGS = ("h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "blockquote", "strong", "em", "s", "a")
_TABLE_TAGS = ("table", "thead", "tbody", "tr", "th", "td")
_TAGS = frozenset((*_TEXT_TAGS, *_TABLE_TAGS))
# What a link may open; anything else (javascript:, data:) becomes its text.
_HREF = re.compile(r"(?:https?://|/(?!/)|#|mailto:)", re.IGNORECASE)

Node = str | list[Any]


def names(folder: Path) -> list[str]:
    """Return the names of the runbooks, sorted."""
    return sorted(path.stem for path in folder.glob("*.md") if _NAME.match(path.stem))


def read(folder: Path, name: str) -> list[Node] | None:
    """Return the runbook's nodes, or None when there is none of that name."""
    path = folder / f"{name}.md"
    if not _NAME.match(name) or not path.is_file():
        return None
    with path.open("rb") as file:
        return parse(file.read(MAX_BYTES).decode("utf-8", "replace"))


def parse(markdown: str) -> list[Node]:
    """Return the nodes of a Markdown text (CommonMark with tables)."""
    from markdown_it import MarkdownIt  # nobody pays for the parser before the first runbook is opened

    return _nodes(MarkdownIt("commonmark", {"html": False}).enable("table").parse(markdown))


def _nodes(tokens: Sequence["Token"]) -> list[Node]:
    top: list[Node] = []
    stack: list[list[Node]] = [top]
    for token in tokens:
        if token.type == "inline":
            stack[-1].extend(_nodes(token.children or ()))
        elif token.nesting == 1:
            children: list[Node] = []
            # A tight list's paragraphs are hidden: their children belong to the item itself.
            if token.hidden or token.tag not in _TAGS:
                children = stack[-1]
            else:
                stack[-1].append([token.tag, _attributes(token), children])
            stack.append(children)
        elif token.nesting == -1:
            stack.pop()
        elif token.type in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.strip() else ""
            stack[-1].append(["pre", {"language": language} if language else {}, [token.content]])
        elif token.type == "code_inline":
            stack[-1].append(["code", {}, [token.content]])
        elif token.type == "image":
            stack[-1].append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            stack[-1].append("\n" if token.type == "softbreak" else ["br", {}, []])
        elif token.type == "hr":
            stack[-1].append(["hr", {}, []])
        else:
            stack[-1].append(token.content)
    return top


def _attributes(token: "Token") -> dict[str, str]:
    if token.tag != "a":
        return {}
    href = str(token.attrs.get("href", ""))
    return {"href": href} if _HREF.match(href) else {}

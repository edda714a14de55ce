"""Lists in XML: the records of one kind, one at a time, in bounded memory; no entities, no document type."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.limits import (
    MAX_XML_CHILDREN,
    MAX_XML_DEPTH,
    MAX_XML_SILENCE,
    MAX_XML_TEXT,
)

CHUNK: Final = 64 * 1024
AGAIN: Final = "download it again from the originator"


@dataclasses.dataclass
class Node:
    """An element without its name space: attributes, text and children."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = dataclasses.field(default_factory=list)

    def find(self, *path: str) -> Node | None:
        """The first descendant along a path of names."""
        node: Node | None = self
        for name in path:
            node = next((child for child in node.children if child.name == name), None) if node else None
        return node

    def value(self, *path: str) -> str:
        """Text at a path, without spaces around it; empty when there is none."""
        node = self.find(*path)
        return node.text.strip() if node else ""

    def all(self, name: str) -> Iterator[Node]:
        """Descendants of a name, in order."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)


class _RefusedError(Exception):
    """Carries a reason out of the parser's callbacks."""


class _Records(ContentHandler):
    """Builds only the elements asked for and hands each over when it ends."""

    def __init__(self, wanted: frozenset[str], take: Callable[[Node], None], root: Callable[[Node], None]):
        super().__init__()
        self.wanted, self.take, self.root = wanted, take, root
        self.depth = self.children = self.length = self.calls = 0
        self.stack: list[Node] = []

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802
        self.calls += 1
        self.depth += 1
        if self.depth > MAX_XML_DEPTH:
            raise _RefusedError(f"elements are nested more than {MAX_XML_DEPTH} deep")
        short = name.rpartition(":")[2]
        if self.depth == 1:
            self.root(Node(short, dict(attrs.items()) | {"": name}))
        if self.stack or short in self.wanted:
            node = Node(short, dict(attrs.items()))
            if self.stack:
                self.stack[-1].children.append(node)
            self.stack.append(node)
            self.children += 1
            if self.children > MAX_XML_CHILDREN:
                raise _RefusedError(f"one record has more than {MAX_XML_CHILDREN:,} elements")

    def characters(self, content: str) -> None:
        self.calls += 1
        if self.stack:
            self.length += len(content)
            if self.length > MAX_XML_TEXT:
                raise _RefusedError(f"one record has more than {MAX_XML_TEXT:,} letters")
            self.stack[-1].text += content

    def endElement(self, name: str) -> None:  # noqa: N802
        self.calls += 1
        self.depth -= 1
        if self.stack:
            node = self.stack.pop()
            if not self.stack:
                self.children = self.length = 0
                self.take(node)


def root_of(source: Source) -> Node:
    """The outermost element, without reading further than it.

    Raises
    ------
    DataError
        When the file is no XML, or declares a document type.
    """
    found: list[Node] = []
    for _ in _nodes(source, frozenset(), found, only_root=True):
        break
    return found[0]


def records(source: Source, *names: str) -> Iterator[Node]:
    """Every element of `names` in the order of the file.

    Raises
    ------
    DataError
        Naming the line: not well formed, truncated, with entities, or beyond the limits.
    """
    return _nodes(source, frozenset(names), [], only_root=False)


def _nodes(source: Source, wanted: frozenset[str], found: list[Node], *, only_root: bool) -> Iterator[Node]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import create_parser

    ready: list[Node] = []
    handler = _Records(wanted, ready.append, found.append)
    parser = create_parser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(handler)
    silence = 0
    try:
        with source.path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                calls = handler.calls
                parser.feed(chunk)
                silence = silence + len(chunk) if handler.calls == calls else 0
                if silence > MAX_XML_SILENCE:
                    raise _RefusedError("one piece of it does not end")
                yield from ready
                ready.clear()
                if only_root and found:
                    return
        parser.close()
        yield from ready
    except DefusedXmlException:
        raise source.fault(
            "", "it declares a document type or entities, which no published list does", AGAIN
        ) from None
    except _RefusedError as error:
        raise source.fault(f"line {parser.getLineNumber()}", str(error), AGAIN) from None
    except SAXParseException as error:
        where, what = f"line {error.getLineNumber()}", f"it is no sound XML ({error.getMessage()})"
        raise source.fault(where, what, AGAIN) from None
    except (SAXException, LookupError, ValueError) as error:
        raise source.fault("", f"it is no sound XML ({type(error).__name__})", AGAIN) from None
    if not found:
        raise source.fault("", "it holds no element", AGAIN)


def attribute(node: Node | None, name: str) -> str:
    """An attribute without spaces around it, empty when node or attribute is absent."""
    attributes: Mapping[str, str] = node.attributes if node else {}
    return attributes.get(name, "").strip()

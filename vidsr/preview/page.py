"""One HTML file that shows everything: pictures, styles and script within it, nothing fetched from anywhere.

The template is `page.html`; what is filled in is one JSON value. It knows words and encoded images, never
how they were made.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources

TEMPLATE = "page.html"
TITLE_SLOT = "{{title}}"
DATA_SLOT = "{{data}}"


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """The source, or one network. name: short. detail: what it is, for a tooltip.

    command: what makes the whole video like this; "" for the source.
    """

    name: str
    detail: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """One moment. time: for people ("0:03.417"). width, height: of the largest of its pictures.

    thumbnail, pictures: data URIs; one picture for each column.
    """

    time: str
    width: int
    height: int
    thumbnail: str
    pictures: Sequence[str]


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Everything on a page. facts: short sentences about the source and the pictures."""

    name: str
    facts: Sequence[str]
    columns: Sequence[ColumnFacts]
    shots: Sequence[Shot]
    made_by: str


def render(facts: PageFacts) -> str:
    """The page as text. Names of files are shown as they are, never taken for markup."""
    template = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    # in a script element only "<" could end it
    data = json.dumps(asdict(facts), ensure_ascii=False).replace("<", "\\u003c")
    head, title, rest = template.partition(TITLE_SLOT)
    body, slot, foot = rest.partition(DATA_SLOT)
    assert title
    assert slot
    return f"{head}{html.escape(facts.name)}{body}{data}{foot}"

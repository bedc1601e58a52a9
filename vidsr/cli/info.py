"""`vidsr info FILE`: what is in a video, as vidsr understands it."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="Show what is in a video file.")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def info(source: Path, as_json: bool) -> None:
    """Show the streams, colours, time stamps and chapters of FILE."""
    from vidsr.media.probe import probe  # noqa: PLC0415 (av loads here, not at --help)

    found = probe(source)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
        return
    for line in found.describe():
        click.echo(line)

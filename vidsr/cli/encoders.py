"""`vidsr encoders`: which video encoders there are, and what each one takes."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command(short_help="List the video encoders of this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def encoders(as_json: bool) -> None:
    """List the encoders of this machine: quality range, speed presets, pixel formats, containers."""
    from vidsr.media.encoders import list_encoders  # noqa: PLC0415 (av loads here, not at --help)

    found = list_encoders()
    if as_json:
        click.echo(json.dumps([asdict(encoder) for encoder in found], ensure_ascii=False))
        return
    for encoder in found:
        if not encoder.available:
            continue
        where = " (hardware)" if encoder.hardware else ""
        click.echo(f"{encoder.name}{where}: {encoder.about}")
        if encoder.quality is not None:
            q = encoder.quality
            click.echo(f"    --crf {q.lowest:g} to {q.highest:g}, default {q.default:g}")
        if encoder.presets:
            presets = (f"{p} (default)" if p == encoder.default_preset else p for p in encoder.presets)
            click.echo(f"    --encoder-preset {', '.join(presets)}")
        click.echo(f"    --pix-fmt {', '.join(encoder.pixel_formats)}")
        click.echo(f"    in {', '.join(encoder.containers)}")
    missing = [encoder.name for encoder in found if not encoder.available]
    if missing:
        click.echo(f"Not on this machine: {', '.join(missing)}")

"""`vidsr encoders`: which video encoders there are, and what each one takes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from vidsr.presets import DEFAULT_MODEL, EncoderDefaults, find_preset

if TYPE_CHECKING:
    from vidsr.media.encode.encoders import EncoderInfo


@click.command(short_help="List the video encoders of this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def encoders(as_json: bool) -> None:
    """List the encoders of this machine: quality range, speed presets, pixel formats, containers."""
    from vidsr.media.encode.encoders import list_encoders

    defaults = find_preset(DEFAULT_MODEL).encoder
    found = [_as_used(encoder, defaults) for encoder in list_encoders()]
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
            default = "the preset's own" if q.default is None else f"{q.default:g}"
            click.echo(f"    --crf {q.lowest:g} to {q.highest:g}, default {default}")
        if encoder.presets:
            presets = (f"{p} (default)" if p == encoder.default_preset else p for p in encoder.presets)
            click.echo(f"    --encoder-preset {', '.join(presets)}")
        click.echo(f"    --pix-fmt {', '.join(encoder.pixel_formats)}")
        click.echo(f"    in {', '.join(encoder.containers)}")
    missing = [encoder.name for encoder in found if not encoder.available]
    if missing:
        click.echo(f"Not on this machine: {', '.join(missing)}")


def _as_used(encoder: EncoderInfo, defaults: EncoderDefaults) -> EncoderInfo:
    """With the speed preset and quality that a job has where the command line does not say."""
    if encoder.name != defaults.name:
        return encoder
    quality = encoder.quality
    if quality is not None and defaults.crf is not None:
        quality = replace(quality, default=defaults.crf)
    return replace(encoder, default_preset=defaults.preset or encoder.default_preset, quality=quality)

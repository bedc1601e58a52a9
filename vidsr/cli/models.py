"""`vidsr models`: which networks can be run, what they are, and where their weights lie."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsr.cli.loading import loading
from vidsr.presets import DEFAULT_MODEL, Preset, find_preset, list_presets

if TYPE_CHECKING:
    from vidsr.weights.catalog import Entry, Holding

EXIT_UNVERIFIED = 1


@click.group(invoke_without_command=True, short_help="List the models and manage their weights.")
@click.pass_context
def models(context: click.Context) -> None:
    """List the models that can be run by name."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list", short_help="List the models.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def list_models(as_json: bool) -> None:
    """List every model: name, factor, whether its weights are here, what it is for."""
    from vidsr.weights.catalog import catalogue

    entries = catalogue()
    if as_json:
        click.echo(json.dumps([_fields(e) for e in entries], ensure_ascii=False))
        return
    width = max(len(e.preset.name) for e in entries)
    for e in entries:
        name = f"{e.preset.name:<{width}}"
        here = "here    " if e.is_present else "to fetch"
        default = " (default)" if e.preset.name == DEFAULT_MODEL else ""
        click.echo(f"{name}  {e.preset.scale}x  {here}  {e.preset.summary}{default}")


@models.command(short_help="Show what a model is and where its weights lie.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def show(name: str, as_json: bool) -> None:
    """Show a model's architecture, the facts that follow from it, and its weights."""
    with loading():
        from vidsr.models.architecture import Architecture
        from vidsr.models.facts import facts
        from vidsr.weights.catalog import entry
        from vidsr.weights.int8 import loss_of

    preset = find_preset(name)
    found = entry(preset)
    architecture = Architecture(preset.architecture, preset.arguments)
    known = facts(architecture)
    int8_db = loss_of(preset.name)
    if as_json:
        derived = {
            "architecture": str(architecture),
            "halo": known.halo,
            "input_multiple": known.input_multiple,
            "parameters": known.parameters,
            "flops_per_pixel": known.flops_per_pixel,
            "peak_bytes_per_pixel_fp16": known.peak_activation_bytes_per_pixel(2),
            "int8_psnr_db": int8_db,
        }
        click.echo(json.dumps(_fields(found) | derived, ensure_ascii=False, indent=2))
        return
    click.echo(f"{preset.name}: {preset.summary}")
    click.echo(f"  Architecture  {architecture}")
    click.echo(f"  Parameters    {known.parameters:,}")
    click.echo(f"  Work          {known.flops_per_pixel / 1e6:.2f} MFLOP a pixel of the input")
    fp16, fp32 = (known.peak_activation_bytes_per_pixel(size) for size in (2, 4))
    click.echo(f"  Memory        {fp16:,} bytes a pixel at the most in fp16 or bf16, {fp32:,} in fp32")
    click.echo(f"  Halo          an output pixel sees {known.halo} pixels of the input around it")
    if int8_db is not None:
        click.echo(f"  Int8          {int8_db:.1f} dB to fp32; --precision int8, OpenVINO on CPUs with VNNI")
    if known.input_multiple > 1:
        click.echo(f"  Sizes         padded to multiples of {known.input_multiple}")
    for holding in found.holdings:
        click.echo(f"  {holding.role.capitalize():<13} {_whereabouts(holding)}")


@models.command(short_help="Download a model's weights.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def pull(names: tuple[str, ...]) -> None:
    """Fetch and verify the weights of the named models, or of all with the name "all"."""
    from rich.console import Console

    from vidsr.progress.events import Fetching
    from vidsr.progress.live import RichRenderer
    from vidsr.progress.plain_lines import PlainRenderer
    from vidsr.progress.renderer import Renderer
    from vidsr.weights import catalog

    console = Console(stderr=True, markup=False, emoji=False)
    renderer: Renderer = RichRenderer(console) if console.is_terminal else PlainRenderer(sys.stderr)
    for preset in _named(names):
        with renderer:
            found, notes = catalog.pull(preset, lambda progress: renderer.show(Fetching.of(progress)))
        for note in notes:
            click.echo(f"Note: {note}", err=True)
        for holding in found.holdings:
            click.echo(f"{preset.name}: {holding.role} {_whereabouts(holding)}")


@models.command(short_help="Compare weights with their published sums.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify(names: tuple[str, ...]) -> int:
    """Compare every weight file that is here with its published size and sha256; all models by default."""
    from vidsr.weights import catalog

    wrong = False
    for preset in _named(names or ("all",)):
        for found in catalog.verify(preset):
            wrong |= found.verdict == "wrong"
            role = "" if found.role == "weights" else f" ({found.role})"
            detail = f": {found.detail}" if found.detail else ""
            click.echo(f"{preset.name}{role}: {found.name} {found.verdict}{detail}")
    return EXIT_UNVERIFIED if wrong else 0


@models.command("import", short_help="Keep a weight file as a model with a name.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Its name; default: the file's.")
@click.option("--summary", help="One line about it for the list.")
def import_model(file: Path, name: str | None, summary: str | None) -> None:
    """Read FILE (.pth, .safetensors or an ncnn pair), keep its tensors and write a preset for it."""
    with loading():
        from vidsr.weights.imported import import_weights

    preset, notes = import_weights(file, name=name, summary=summary)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{preset.name}: imported; run it with --model {preset.name}")


def _named(names: Iterable[str]) -> list[Preset]:
    if "all" in names:
        return list(list_presets().values())
    return [find_preset(name) for name in names]


def _whereabouts(holding: Holding) -> str:
    from vidsr.progress.words import size_words

    size = "size not published" if holding.size_bytes is None else size_words(holding.size_bytes)
    if holding.located is None:
        return f"to be fetched from {holding.source.files[0].url} ({size})"
    return f"{holding.located.origin} ({size})"


def _fields(found: Entry) -> dict[str, Any]:
    return {
        "name": found.preset.name,
        "summary": found.preset.summary,
        "content": found.preset.content,
        "scale": found.preset.scale,
        "default": found.preset.name == DEFAULT_MODEL,
        "present": found.is_present,
        "weights": [
            {
                "role": holding.role,
                "files": [str(path) for path in holding.located.paths] if holding.located else [],
                "urls": [file.url for file in holding.source.files if file.url],
                "sha256": [file.sha256 for file in holding.source.files],
                "size_bytes": holding.size_bytes,
            }
            for holding in found.holdings
        ],
    }

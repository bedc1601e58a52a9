"""`vidsr bench`: how fast this machine runs each network, and how near that is to its ceiling."""

from __future__ import annotations

import click

from vidsr.cli.loading import loading
from vidsr.errors import WeightsError
from vidsr.presets import DEFAULT_MODEL, find_preset, list_presets


@click.command(short_help="Measure how fast this machine is.")
@click.option("--quick", is_flag=True, help=f"A rough answer in a minute; {DEFAULT_MODEL} only by default.")
@click.option(
    "--model", "-m", "models", metavar="NAME", multiple=True, help="Measure this model; can be repeated."
)
@click.option("--device", metavar="NAME", default="all", help="cpu, cuda, cuda:1; default: CPU and GPU.")
@click.option("--markdown", "as_markdown", is_flag=True, help="The table as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line too; the table goes to stderr.")
def bench(quick: bool, models: tuple[str, ...], device: str, as_markdown: bool, as_json: bool) -> None:
    """Measure models on this machine: alone, within the pipeline, and with an encoder at its end.

    Each is run by every backend and in every number format that makes sense here. The ceiling is what a
    large matrix product and a memory copy reach on the same machine in the same minutes.
    """
    names = _names(models, quick=quick)

    with loading():
        from rich.console import Console
        from rich.text import Text

        from vidsr.bench.candidates import ways_here
        from vidsr.bench.measure import FULL, QUICK, run_bench
        from vidsr.bench.report import closing_lines, json_line, markdown, tables

    notes = Console(stderr=True, markup=False, emoji=False)
    with notes.status("starting") as status:

        def step(words: str) -> None:
            status.update(Text(words))  # in a bare str, rich takes the [x265] of a device's name for markup
            if not notes.is_terminal:
                notes.print(words, style="dim", highlight=False)

        report = run_bench(names, ways_here(device), QUICK if quick else FULL, step)
    shown = notes if as_json else Console(markup=False, emoji=False)
    if as_markdown:
        for line in markdown(report):
            shown.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        for table in tables(report):
            shown.print(table)
        for line in closing_lines(report):
            shown.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        click.echo(json_line(report))


def _names(asked: tuple[str, ...], *, quick: bool) -> list[str]:
    """What to measure: nothing is downloaded for it."""
    from vidsr.weights.catalog import entry

    if not asked and not quick:
        return [preset.name for preset in list_presets().values() if entry(preset).is_present]
    presets = [find_preset(name) for name in asked or (DEFAULT_MODEL,)]
    for preset in presets:
        if not entry(preset).is_present:
            raise WeightsError(
                f"the weights of {preset.name} are not here", f"vidsr models pull {preset.name}"
            )
    return [preset.name for preset in presets]

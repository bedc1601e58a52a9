"""`vidsr models`: which networks can be run, and their weights."""

from __future__ import annotations

import click

from vidsr.presets import DEFAULT_MODEL, list_presets


@click.group(invoke_without_command=True, short_help="List the models and manage their weights.")
@click.pass_context
def models(context: click.Context) -> None:
    """List the models that can be run by name."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list", short_help="List the models.")
def list_models() -> None:
    """List every preset: name, factor, what it is for."""
    presets = list_presets()
    width = max(len(name) for name in presets)
    for name, preset in presets.items():
        default = " (default)" if name == DEFAULT_MODEL else ""
        click.echo(f"{name:<{width}}  {preset.scale}x  {preset.summary}{default}")

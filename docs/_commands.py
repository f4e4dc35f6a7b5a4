"""The page of the commands: what each says of itself with --help, so that it cannot be another thing."""

import pathlib

import click

from kmix_tf.cli.app import commands

WIDTH = 100
_HEAD = """# Commands

`kmix-tf`, with the extra `cli`. Each ends with status 0, or says in one line why it could not. Stopped by Ctrl-C, it
leaves nothing half written, and ends with status 130.
"""


def write(page: pathlib.Path) -> None:
    """Writes the page, where git ignores it."""
    page.write_text("\n".join([_HEAD, *(_section(name) for name in commands.commands)]))


def _section(name: str) -> str:
    context = click.Context(commands.commands[name], info_name=f"kmix-tf {name}", max_content_width=WIDTH)
    return f"## kmix-tf {name}\n\n```text\n{context.get_help()}\n```\n"

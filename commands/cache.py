"""`spot cache`: the features that are kept, which hold the positions of landmarks of faces."""

from pathlib import Path

import click

from ..errors import FacespotError
from ..files import user_cache_folder
from .console import Console, reporting
from .options import shared

ACTIONS = ("where", "list", "size", "clear")


@click.command()
@click.argument("action", type=click.Choice(ACTIONS), default="size")
@shared("cache", metavar="DIR", help="Another folder than the user's cache.")
@click.option("-y", "--yes", is_flag=True, help="Clear without asking.")
@shared("quiet")
@reporting
def cache(action: str, cache: str | None, yes: bool, quiet: bool) -> None:
    """Show or clear the features that are kept.

    \b
    where  the folder
    list   a row per recording
    size   how many and how large (the default)
    clear  delete them; they are made anew when they are needed
    """
    from ..extract.stored import remove_entries, stored_entries

    console = Console(quiet)
    folder = Path(cache) if cache else user_cache_folder()
    if action == "where":
        console.say(click.format_filename(folder))
        return
    entries = stored_entries(folder)
    megabytes = sum(entry.size for entry in entries) / 1e6
    told = f"{len(entries)} recording{'s' * (len(entries) != 1)}, {megabytes:.1f} MB in {click.format_filename(folder)}"
    if action == "list" and entries:
        rows = [
            [f"{e.made:%Y-%m-%d %H:%M}", f"{e.size / 1e6:.1f}", click.format_filename(e.recording)] for e in entries
        ]
        console.table(["made", "MB", "recording"], rows, left=["made", "recording"])
    if action == "clear" and entries:
        if (folder / "index.csv").exists():
            raise FacespotError(f"{folder}: holds a prepared data set and not only a cache; remove it by hand")
        if not yes:
            click.confirm(f"Delete {told}?", abort=True, err=True)
        remove_entries(folder, entries)
        told = f"cleared {told}"
    console.say(told)

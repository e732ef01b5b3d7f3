"""The command tree. Importing it must stay cheap: typer and rich, nothing of ours that does work."""

from __future__ import annotations

import typer

from tabsync.cli import (
    backup,
    copy,
    demo,
    drill,
    drill_quarterly,
    health,
    init,
    key,
    managed,
    manual,
    operator,
    pitr,
    prune,
    query,
    restore,
    run,
    serve,
    sign,
    status,
    verify,
    wal,
)

app = typer.Typer(
    name="tabsync",
    help="Run your database operations manual: backups, restores and drills, each previewed and recorded.",
    epilog="Example: tabsync init postgresql://me@db.example.com/shop, then: tabsync drill",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # the panels cost 0.1 s and a page of imports at every --help: decision 0005
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command("status", short_help="Show whether something is wrong, and what to do next.")(status.status)
app.command("health", short_help="Check that the database answers and that its key tables can be read.")(health.health)
app.add_typer(drill.app, name="drill", short_help="Prove that a backup can be restored, and measure how fast.")
backup.app.command("prune", epilog="Example: tabsync backup prune, then: tabsync backup prune --apply")(prune.prune)
backup.app.command("hold", epilog="Example: tabsync backup hold latest --reason 'evidence for incident 7'")(prune.hold)
backup.app.command("release", epilog="Example: tabsync backup release 20261122T181500Z-1a2b")(prune.release)
backup.app.command("verify", epilog="Example: tabsync backup verify latest --deep")(verify.verify)
backup.app.command("sign", epilog="Example: tabsync backup sign --dry-run")(sign.sign)
backup.app.command("copy", epilog="Example: tabsync backup copy latest --to az://backups/prod")(copy.copy)
drill.app.command("quarterly", epilog="Example: tabsync drill quarterly")(drill_quarterly.quarterly)
backup.app.command("window", epilog="Example: tabsync backup window --json")(pitr.window)
restore.app.command("to-time", epilog="Example: tabsync restore to-time '2026-11-22 14:30:00'")(pitr.to_time)
restore.app.command("clusters", epilog="Example: tabsync restore clusters")(pitr.clusters)
restore.app.command("drop", epilog="Example: tabsync restore drop restored-20261122t143000z")(pitr.drop)
backup.app.command("query", epilog="Example: tabsync backup query latest 'select count(*) from users'")(query.query)
backup.app.command("cool", epilog="Example: tabsync backup cool")(query.cool)
app.add_typer(backup.app, name="backup")
restore.app.command("managed", epilog="Example: tabsync restore managed 2026-11-22T18:15:00-03:00 --dry-run")(
    managed.managed
)
app.add_typer(restore.app, name="restore")
app.add_typer(wal.app, name="wal")
app.add_typer(manual.app, name="manual")
app.add_typer(run.app, name="run")
app.add_typer(key.app, name="key")
app.command("init", short_help="Write tabsync.toml and manual.md for a database.")(init.init)
app.command("serve", short_help="Serve the console until Ctrl-C.")(serve.serve)
app.add_typer(operator.app, name="operator")
app.command("demo", short_help="Try everything on the database of a restaurant.")(demo.demo)


def _version(shown: bool) -> None:
    if shown:
        from tabsync import __version__

        typer.echo(f"tabsync {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Run your database operations manual: backups, restores and drills, each previewed and recorded."""

"""One setting of tabsync.toml, and all that there are, with their types, defaults and environment variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tabsync.kernel.errors import BadUsage
from tabsync.system.profiles import PROFILE_VARIABLE
from tabsync.workspace.apps import APPS, shown_app


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    name: its place in tabsync.toml, "wal.budget" being budget in the table [wal]; before: the name that it had at the
    top of the file, which goes on working; kind: of its value; env: the variable that overrides the file; secret: it
    may hold a password, and is never shown.
    """

    name: str
    help: str
    kind: type = str
    default: Any = ""
    env: str = ""
    before: str = ""
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("database", "connection string of the database that is looked after", env="TABSYNC_DATABASE", secret=True),
    Setting(
        "store", "where backups are: a directory, az://, s3:// or gs:// with a prefix", env="TABSYNC_STORE", secret=True
    ),
    Setting("name", "what this database is called in pages and messages"),
    Setting("manual", "the manual, from where tabsync.toml is"),
    Setting("profile", "the application whose commands, manual and game days are used", env=PROFILE_VARIABLE),
    Setting("home", "the directory of the ledger, scratch servers and reports", env="TABSYNC_HOME"),
    Setting("ledger", "SQLAlchemy URL of the ledger", secret=True),
    Setting("jobs", "connections of a dump or restore", int, 2),
    Setting("keys.recipients", "who can decrypt new backups: age recipients", list, (), before="recipients"),
    Setting("keys.identity", "the file that decrypts backups", env="TABSYNC_IDENTITY", before="identity"),
    Setting("keys.signing", "the file that signs backups", env="TABSYNC_SIGNING_KEY", before="signing_key"),
    Setting("keys.trusted", "whose signatures count", list, (), before="trusted_keys"),
    Setting("wal.budget", "how much WAL may wait to be stored", default="10GB", before="wal_budget"),
    Setting("provider.name", "who runs the server: supabase", before="provider"),
    Setting("provider.project", "its reference there", before="project"),
    Setting("collector.user", "the role that measures, its password in the passfile; by default that of database"),
    Setting("emergency.databases", "where to get in when all connections are in use, in order", list, (), secret=True),
    Setting("emergency.user", "the role of the session that tabsync serve keeps for then; by default that of database"),
    Setting("provider.metrics_key_file", "the file with the secret key of the project, for Supabase's Metrics API"),
    Setting("pgbouncer.url", "connection string of PgBouncer's console, database pgbouncer", secret=True),
    Setting("service.name", "what this machine's service is called, for items of the schedule that are on one"),
    Setting("service.at_once", "how many runs of the schedule go at the same time", int, 2),
    Setting("emergency.journal", "the directory where runs are recorded while the ledger can't be written"),
    Setting("migrations.folder", "where the application's migrations are, or its project"),
    Setting("history.max_size", "how large the history of what was measured may get", default="1GB"),
    Setting("console.public_url", "where people reach the console: https://..., for the links in messages"),
    Setting("heartbeat.url", "where a sign of life is sent to: a check of healthchecks.io or the like", secret=True),
)
LEAST_HISTORY = 20 << 20
STORES = "stores"
"""The table of further stores: a place by each name, or a table with the place."""

CHANNELS = "notify"
"""The table of channels: how to reach people, an address of Apprise by each name, or a table with the file it is in."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and where that comes from: "tabsync.toml, line 3", "TABSYNC_HOME", "default"."""

    setting: Setting
    value: Any = field(repr=False)
    origin: str

    @property
    def shown(self) -> str:
        """The value for people, without secrets."""
        if self.setting.name == "heartbeat.url" and self.value:
            scheme, _, rest = str(self.value).partition("://")
            return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}/..."  # whoever knows its path may ping it
        if self.setting.name.startswith(f"{APPS}."):
            return shown_app(self.value)
        if self.setting.name.startswith(f"{CHANNELS}."):
            if not self.value:
                return "unknown"
            scheme, separator, _ = str(self.value).partition("://")
            return f"{scheme}://..." if separator and scheme.isalnum() else "***"  # a token may stand anywhere in it
        if self.setting.secret and isinstance(self.value, list | tuple):
            return ", ".join(_without_password(str(one)) for one in self.value)
        if self.setting.secret and self.value and not self._is_directory:
            return _without_password(str(self.value))
        return ", ".join(map(str, self.value)) if isinstance(self.value, list | tuple) else str(self.value)

    @property
    def _is_directory(self) -> bool:
        return self.setting.name.startswith("store") and "://" not in str(self.value)


def _without_password(text: str) -> str:
    from tabsync.postgres.conninfo import without_secrets

    if "://" in text and not text.startswith(("postgres://", "postgresql://")):
        head, _, rest = text.partition("://")
        place, asked, _ = rest.rpartition("@")[2].partition("?")
        return f"{head}://{place}{asked and '?...'}"  # what is asked for may be a password, or a signature
    try:
        return without_secrets(text)
    except BadUsage:
        return "***"

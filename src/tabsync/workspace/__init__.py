"""The wiring of one command: which database, which store, which manual, where our own state lives.

Policy is in the manual; this is `tabsync.toml` and the environment. What is nearer to the person wins: an option on
the command line over the environment over the file.
"""

from tabsync.system.config import CONFIG_NAME
from tabsync.workspace.find import PLAIN_MANUAL, find
from tabsync.workspace.workspace import Context, Workspace, with_actor

__all__ = ["CONFIG_NAME", "PLAIN_MANUAL", "Context", "Workspace", "find", "with_actor"]

"""python -m tabsync."""

from tabsync.cli import main

main()

"""tabsync migration undo: what a failed migration has left is taken away, statement by statement."""

"""tabsync init: looks at a database and writes the wiring and a manual fitted to it."""

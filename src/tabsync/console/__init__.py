"""The console: the same facts and the same plans as the command line, as pages. Thin: one file per chapter."""

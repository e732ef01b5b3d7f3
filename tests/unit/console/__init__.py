"""The console's parts that do no I/O."""

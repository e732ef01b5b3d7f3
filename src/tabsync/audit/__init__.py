"""The audit log that the database itself writes: installed, watched, sealed, read."""

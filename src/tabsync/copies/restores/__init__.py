"""Restores into a server of ours: pg_restore in passes, and what did not come back."""

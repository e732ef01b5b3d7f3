"""The audit log in the database: installing it, watching it, reading it, and keeping it in order."""

"""The audit log, read: pages of it, one entry, a file."""

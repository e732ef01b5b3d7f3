"""Point-in-time recovery: a physical backup and the WAL after it, into a new cluster beside the damaged one."""

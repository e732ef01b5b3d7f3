"""What every tool has in common: a history, the table that it is in, the script of a migration."""

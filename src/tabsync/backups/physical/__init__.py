"""Physical backups: the files of a whole cluster, taken by pg_basebackup, to recover to any later moment from."""

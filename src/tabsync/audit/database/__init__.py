"""What the audit log is made of in a database: its tables, functions, triggers, partitions and privileges."""

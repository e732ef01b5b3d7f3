"""TabSync, the restaurant platform: its manual, its schema, and data and traffic that look like its own."""

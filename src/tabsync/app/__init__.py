"""The application beside the database: restart it, read its log, give it another database."""

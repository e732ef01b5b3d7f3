"""The tools that keep a history of migrations in the database, each read as its own documentation has it."""

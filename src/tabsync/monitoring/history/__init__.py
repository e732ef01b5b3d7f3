"""What was measured, kept in a file beside the ledger: raw for days, rolled up for months, never in the database."""

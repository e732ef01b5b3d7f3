"""What the database is like now, measured by the metrics of the manual and judged by its thresholds."""

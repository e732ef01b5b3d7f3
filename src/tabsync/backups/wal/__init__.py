"""Write-ahead log in the store: what makes every second since a physical backup a point to return to."""

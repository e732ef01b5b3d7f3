"""The ledger: what ran, what was proven, who did what. It never lives on a database that it looks after."""

"""The demo: a real PostgreSQL with the TabSync profile under live traffic, for whoever wants to see it work first."""

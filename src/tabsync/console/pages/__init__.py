"""One file per chapter; each has a `router`, and each route says in its signature who may use it (see access.py)."""

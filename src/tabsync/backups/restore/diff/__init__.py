"""tabsync restore diff: what is only in one of two databases, and what is in both and different."""

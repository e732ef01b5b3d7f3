"""Sessions: who is connected, what it does and waits for, and how one is ended."""

"""What every page of the console stands on: who may see it, how it looks, what it knows."""

"""The console, in a real browser and route by route."""

"""TabSync runs a database operations manual: previewed, bounded, recorded, and every promise in it measured."""

__version__ = "0.1.0"

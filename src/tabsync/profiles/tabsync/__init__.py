"""TabSync, the restaurant platform: its manual, commands and schema, and data and traffic that look like its own."""

from pathlib import Path

PROFILE_MANUAL = Path(__file__).parent / "manual.md"

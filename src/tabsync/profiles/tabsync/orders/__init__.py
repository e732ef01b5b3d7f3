"""Orders: paused while they could not be paid or cooked, and taken again."""

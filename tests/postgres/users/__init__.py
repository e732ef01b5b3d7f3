"""Who may become what, and how it is written down."""

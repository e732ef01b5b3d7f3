"""Single rows back: compared with a copy, shown, written in one transaction, taken back."""

"""What is assumed of a database whose own manual nobody wrote yet."""

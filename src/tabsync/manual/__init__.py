"""The manual is the program: one Markdown file becomes typed policy that keeps its line numbers."""

"""Long runs that `make test` has no time for: `make soak PARTS=databases`. Each part is a module of this package."""

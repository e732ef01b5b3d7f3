"""The operating system: child processes, claims on directories, the account that servers run under."""

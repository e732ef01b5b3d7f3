"""The application's users: who has which role, and how it is changed."""

"""What the texts of PostgreSQL, its clients and its poolers mean: pure, and a table that anybody can add to."""

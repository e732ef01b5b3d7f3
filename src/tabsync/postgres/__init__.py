"""PostgreSQL: connections, embedded servers, client programs, catalog reads."""

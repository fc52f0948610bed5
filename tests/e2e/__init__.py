"""The whole product from outside: HTTP in, and what AWS holds afterwards."""

"""What Tidemark costs in time, memory, bytes and requests, beside other tools on the same data: `make bench`."""

"""The stored format and the algorithms of capture and restore, on ports only."""

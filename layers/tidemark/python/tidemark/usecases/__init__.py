"""What a caller can ask of Tidemark, one verb a module."""

"""House rules that no tool checks, held as tests on the repository's own files."""

"""What moves snapshots: copying their packs, merging them for an export, and making new ones of imported files."""

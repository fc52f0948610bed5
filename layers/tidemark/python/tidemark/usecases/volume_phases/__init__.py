"""What makes a snapshot of a volume, step by step."""

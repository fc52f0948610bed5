"""What makes a volume or a machine image of a snapshot, step by step."""

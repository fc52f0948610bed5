"""What the ports promise, proved for the adapters and for their counterparts in memory alike."""

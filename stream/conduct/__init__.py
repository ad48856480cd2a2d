"""What one key does, over all subjects: the event stage tells it in tallies, the finding stage keeps it."""

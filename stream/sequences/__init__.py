"""The numbers that producers give their events: which were seen, in all partitions, and which are missing."""

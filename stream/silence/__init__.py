"""Services that fall silent: when each reported, in all partitions, and how far in time these are."""

"""Uses of break-glass keys, and whether somebody looked into them."""

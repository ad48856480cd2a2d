"""What each stage costs: `make bench` runs everything and writes the results under build/bench."""

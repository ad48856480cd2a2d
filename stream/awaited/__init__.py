"""What should come and may not: a service's next report, a review of a break-glass use."""

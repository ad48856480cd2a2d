"""Reading: from records of the events topic to events, or to dead letters."""

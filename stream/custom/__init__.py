"""Rules that a policy brings itself: conditions in CEL over what an event, its key and its subject say."""

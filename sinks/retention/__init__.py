"""How long events are kept, what must not be removed, and removing the rest so that it is known."""

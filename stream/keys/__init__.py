"""Keys: what the worker knows of each, who owns it, and which key issued which."""

"""Access: the roles of subjects and of teams, and how they came and went."""

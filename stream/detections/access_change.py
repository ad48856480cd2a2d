"""Which actions change somebody's access."""

ACCESS_CHANGES = frozenset(
    {"grant", "revoke", "issue_key", "rotate_key", "revoke_key", "suspend_key", "update_trust"}
)

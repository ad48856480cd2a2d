"""Findings sent on to a webhook: signed, tried again until they are taken, set aside where refused."""

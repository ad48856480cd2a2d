"""Findings: how verdicts come together, and what people decide on them."""

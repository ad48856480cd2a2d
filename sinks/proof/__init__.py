"""Proof that nobody touched the log: leaves of a Merkle tree, signed checkpoints, and their verification."""

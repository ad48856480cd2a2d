"""Privileged keys that lie unused: when each was used last, judged by days that all partitions are past."""

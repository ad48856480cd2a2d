"""The anomalies, a small function each, and beside them the near misses that must stay silent.

`catalogue` lists them by rule.  Each is given the stage and a day by which it should have happened,
claims whom it needs, and labels what it did.
"""

"""Backtest: policies tried on the past, and compared."""

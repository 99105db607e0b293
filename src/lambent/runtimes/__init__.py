"""The catalogue of runtime identifiers, the interpreters behind them, and our bootstraps."""

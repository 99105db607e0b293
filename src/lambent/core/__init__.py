"""What every layer may use: settings, life cycle tables, tasks, time, identifiers. Knows neither AWS nor Lambda."""

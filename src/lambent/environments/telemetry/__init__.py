"""The Telemetry API and the Logs API of an environment: what it tells of itself, to extensions inside of it."""

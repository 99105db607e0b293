"""Lambda's control plane: functions, versions, code packages and their life cycle."""

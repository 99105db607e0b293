"""CloudWatch Logs: groups, streams, events, retention, tags; and the sink that environments write to.

Environment output is in memory until the next flush (200 ms at most); PutLogEvents answers after its commit. Events
are kept as one compressed chunk per stream and flush. `service.LogsService` is the door.
"""

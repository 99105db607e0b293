"""Hooks around a SnapStart snapshot. Functions may import this on every Python runtime; without SnapStart no hook runs.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(function, *args, **kwargs):
    _before_snapshot.append((function, args, kwargs))
    return function


def register_after_restore(function, *args, **kwargs):
    _after_restore.append((function, args, kwargs))
    return function


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore

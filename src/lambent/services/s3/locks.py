"""Object lock: whether a version may go. Pure."""

from lambent.services.s3.records import State


def holds(state: State, now_ms: int, *, bypass: bool = False) -> bool:
    """Whether a version must stay. `bypass`: the caller may and wants to pass by governance mode."""
    if state.hold:
        return True
    if state.lock_until_ms <= now_ms:
        return False
    return state.lock_mode == "COMPLIANCE" or not bypass

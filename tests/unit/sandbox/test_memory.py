import os

from lambent.environments.sandbox.memory import PeakMemory, peak_of_process, peak_of_status


def test_peak_is_read_from_a_status_file() -> None:
    assert peak_of_status(b"Name:\tpython3\nVmPeak:\t  20000 kB\nVmHWM:\t   11234 kB\nVmRSS:\t 1 kB\n") == 11234 * 1024


def test_ended_process_holds_nothing() -> None:
    assert peak_of_status(b"Name:\tpython3\nState:\tZ (zombie)\n") == 0
    assert peak_of_process(2**22 + 1) == 0


def test_peak_never_falls_and_starts_anew_with_a_new_process() -> None:
    memory = PeakMemory(procs_fd=None, count_fd=None)
    memory.restart(os.open("/proc/self/status", os.O_RDONLY))
    own = memory.measure()
    assert own > 1_000_000
    memory.raise_to(own * 2)
    assert memory.measure() == own * 2
    memory.restart(os.open("/proc/self/status", os.O_RDONLY))
    assert memory.measure() < own * 2
    memory.close()
    assert memory.measure() > 0, "what was measured stays known"

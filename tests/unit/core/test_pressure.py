from pathlib import Path

import pytest

from lambent.core.pressure import BUSY_PER_CPU, cpus_are_taken


@pytest.mark.parametrize(("wanting", "taken"), [(1, False), (2 * BUSY_PER_CPU, False), (2 * BUSY_PER_CPU + 1, True)])
def test_more_threads_that_want_a_cpu_than_cpus_can_have_soon(tmp_path: Path, wanting: int, taken: bool) -> None:
    told = tmp_path / "loadavg"
    told.write_text(f"0.20 0.18 0.12 {wanting}/80 11206\n")
    assert cpus_are_taken(str(told), 2) is taken


def test_a_kernel_that_does_not_say_is_not_busy(tmp_path: Path) -> None:
    assert not cpus_are_taken(str(tmp_path / "none"))
    (tmp_path / "odd").write_text("odd")
    assert not cpus_are_taken(str(tmp_path / "odd"))

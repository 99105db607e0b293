"""`python -m tests.e2e.escapes.proof docs/security.md` (make proof): runs the suite, and writes its table anew there.

Refuses to write when an attempt succeeded inside, or failed outside where this machine has what it tries.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lambent.testing.running_server import Server
from tests.e2e.escapes import identity, suite
from tests.e2e.escapes.suite import SOMETIMES, VARIANTS, Results, Variant
from tests.e2e.escapes.table import CASES, GUARANTEES, Case

LEGEND = (
    "*Of itself*: the first process of a container or a restored environment is the function's; it may look at itself.",
    "*Open*: the internet, with which that sandbox is connected.",
)
ABSENT = "not on this machine"
_IDENTITY = [Variant(driver, how) for driver in ("native", "rootless", "oci") for how in identity.WAYS]
BEGIN, END = "<!-- proof -->\n", "<!-- end of proof -->\n"


def page(results: Results) -> str:
    """The table, and below it what was tried."""
    columns = [str(variant) for variant in VARIANTS]
    lines = ["| a function | attempts | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for guarantee, promise in GUARANTEES.items():
        cases = _of(guarantee)
        cells = [_cell(results, variant, cases) for variant in VARIANTS]
        lines.append(f"| {promise} | {len(cases)} | " + " | ".join(cells) + " |")
    lines.append(identity_row())
    lines += ["", *LEGEND]
    lines += ["", *names()]
    return "".join(f"{line}\n" for line in lines)


def _cell(results: Results, variant: Variant, cases: Sequence[Case]) -> str:
    if variant in results.absent:
        return ABSENT
    return cell(variant, len(cases), sum(not results.refused(case, variant) for case in cases))


def cell(variant: Variant, count: int, rest: int) -> str:
    """`rest`: how many succeed, as they may."""
    return f"{count - rest} refused" + (f", {rest} {'open' if variant.plugged else 'of itself'}" if rest else "")


def identity_row() -> str:
    """The server's own doing, whatever the sandbox: tried with each driver."""
    count = len(identity.CASES)
    cells = [f"{count} refused" if variant in _IDENTITY else "the same code" for variant in VARIANTS]
    return f"| {identity.PROMISE} | {count} | " + " | ".join(cells) + " |"


def names() -> list[str]:
    """What is tried, by guarantee: the same on every machine."""
    lines = [f"- *{guarantee}*: " + ", ".join(case.name for case in _of(guarantee)) + "." for guarantee in GUARANTEES]
    lines.append(f"- *{identity.GUARANTEE}*: " + ", ".join(case.name for case in identity.CASES) + ".")
    return ["What is tried:", "", *lines]


def _of(guarantee: str) -> Sequence[Case]:
    return [case for case in CASES if case.guarantee == guarantee]


def _spoken(folder: Path) -> Mapping[Variant, identity.Outcome]:
    found: dict[Variant, identity.Outcome] = {}
    for driver in dict.fromkeys(variant.driver for variant in _IDENTITY):
        with Server.start(folder / f"server-{driver}" / "data", "--sandbox", driver, "--allow-reset") as server:
            found |= {each: identity.run(server, each.how) for each in _IDENTITY if each.driver == driver}
    return found


def main(path: Path) -> int:
    if os.geteuid() != 0:
        print("make proof needs root: native sandboxes", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        results = suite.run(Path(folder))
        spoken = _spoken(Path(folder))
    holes = [
        f"{variant}: {case.name}"
        for variant in results.inside
        for case in CASES
        if not results.as_expected(case, variant)
    ]
    for variant, each in spoken.items():
        holes += [f"{variant}: {case.name}" for case in identity.CASES if each.inside[case.name] not in case.expected]
        holes += [f"{variant}, rightful: {name}" for name, told in each.rightful.items() if told != "ok"]
    idle = {case.name: results.lacking(case, driver) for driver in results.outside for case in CASES
            if results.outside[driver][case.name] != "ok"}  # fmt: skip
    for name, why in idle.items():
        print(why or f"{name} fails outside too")
    holes += [why for variant, why in results.absent.items() if variant not in SOMETIMES]
    for hole in holes:
        print(hole, file=sys.stderr)
    if holes or None in idle.values():
        return 1
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(before + BEGIN + page(results) + END + rest.partition(END)[2])
    count = len(CASES) + len(identity.CASES)
    print(f"{count} attempts, {count - len(idle)} of them succeed outside on this machine; all refused inside")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

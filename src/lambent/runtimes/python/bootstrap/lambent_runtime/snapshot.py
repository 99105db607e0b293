"""Under SnapStart, what is between Init and the first invocation: hooks before the snapshot, the snapshot, hooks after
the restore. Imported only then.

Where the platform clones this process instead of starting another, `template.wait` returns in each clone; where it is
saved as files and restored from them, `image.wait` in each copy; elsewhere the Runtime API answers `restore/next`.
Order of hooks and exit codes: AWS's runtime interface client.
"""

import sys

import snapshot_restore_py

BEFORE_FAILED, AFTER_FAILED = 64, 65
_BEFORE, _AFTER = "Runtime.BeforeSnapshotError", "Runtime.AfterRestoreError"


def pass_through(api, template_fd, image_fd):
    try:
        _run_before()
        if image_fd is not None:
            from lambent_runtime import image

            image.wait(api, image_fd)
        elif template_fd is None:
            api.restore_next()
        else:
            from lambent_runtime import template

            template.wait(template_fd)
    except BaseException as error:
        _report(api, b"init/error", error, _BEFORE)
        sys.exit(BEFORE_FAILED)
    try:
        _run_after()
    except BaseException as error:
        _report(api, b"restore/error", error, _AFTER)
        sys.exit(AFTER_FAILED)


def _run_before():
    """What was registered last comes first; each runs once."""
    hooks = snapshot_restore_py.get_before_snapshot()
    while hooks:
        function, args, kwargs = hooks.pop()
        function(*args, **kwargs)


def _run_after():
    for function, args, kwargs in snapshot_restore_py.get_after_restore():
        function(*args, **kwargs)


def _report(api, path, error, error_type):
    from lambent_runtime import report

    report.snapshot_error(api, path, error, error_type)

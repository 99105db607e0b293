"""SnapStart: templates of versions, and environments that begin as a copy of one."""

"""What an environment of a function version runs: its package, its layers, its interpreter, and its variables.

Joins the control plane's unpacked packages with the catalogue of runtimes; the package is held while the
environment lives, so that no collection removes the files under it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from lambent.aws.errors import ApiError
from lambent.environments.extensions import files as extension_files
from lambent.environments.identity import initialization_type
from lambent.environments.ports import CodePackages, EnvironmentIdentity, Program
from lambent.functions.read_model import ReadModel
from lambent.functions.records import FunctionVersion
from lambent.runtimes.catalog import Catalog, RuntimeUnavailable
from lambent.runtimes.layout import RuntimeStart
from lambent.runtimes.starting import must_exec
from lambent.runtimes.variables import Process


class Programs:
    """Implements `ProgramSource`."""

    def __init__(self, catalog: Catalog, packages: CodePackages) -> None:
        self._catalog = catalog
        self._packages = packages

    @asynccontextmanager
    async def program(self, version: FunctionVersion, identity: EnvironmentIdentity) -> AsyncIterator[Program]:
        """Raises InvalidRuntimeException when the interpreter is gone since the function became Active."""
        try:
            runtime = self._catalog.serving(version.runtime)
        except RuntimeUnavailable as error:
            raise ApiError("InvalidRuntimeException", str(error)) from error
        layers = [layer.code for layer in version.layers]
        with self._packages.hold(version.code.sha256), self._packages.hold_opt(layers):
            opt_dir = await self._packages.ready_opt(layers)
            code_dir = await self._packages.ready(version.code)
            yield Program(
                command=runtime.command(process(version, identity), code_dir, opt_dir),
                problem=runtime.problem(code_dir, opt_dir),
                code_dir=code_dir,
                lang_prefix=runtime.prefix,
                opt_dir=opt_dir,
                extensions=extension_files.find(opt_dir),
                runtime=runtime.start,
                must_exec=must_exec(version.variables or {}, runtime.start),
                runtime_version=runtime.version,
                runtime_version_arn=runtime.version_arn(version.region),
            )


class RuntimesInUse:
    """Implements `prewarm.Runtimes`. Looks for no interpreter: who made the functions has."""

    def __init__(self, catalog: Catalog, functions: ReadModel) -> None:
        self._catalog = catalog
        self._functions = functions
        self._generation = -1
        self._counts: Mapping[str, int] = {}

    def in_use(self) -> Mapping[RuntimeStart, int]:
        if self._functions.generation != self._generation:
            self._generation = self._functions.generation
            self._counts = Counter(function.latest.runtime for function in self._functions)
        starts = {identifier: self.start(identifier) for identifier in self._counts}
        return {start: self._counts[identifier] for identifier, start in starts.items() if start is not None}

    def start(self, identifier: str) -> RuntimeStart | None:
        runtime = self._catalog.known(identifier)
        return None if runtime is None else runtime.start


def process(version: FunctionVersion, identity: EnvironmentIdentity) -> Process:
    """What the runtime process is told."""
    credentials = identity.credentials
    return Process(
        runtime=version.runtime,
        handler=version.handler,
        function_name=version.name,
        function_version=version.version,
        memory_mb=version.memory_mb,
        region=version.region,
        log_group=identity.log_group,
        log_stream=identity.log_stream,
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        session_token=credentials.session_token,
        credentials_token=identity.credentials_token,
        metadata_token=identity.metadata_token,
        initialization_type=initialization_type(version, identity),
        log_format=version.logging.format,
        log_level=version.logging.application_level,
        variables=version.variables or {},
    )

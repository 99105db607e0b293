"""Which form the log of an environment has: text, or JSON where the function's LoggingConfig asks for it."""

from lambent.environments.ports import EnvironmentIdentity, Journal, LogSink
from lambent.functions.records import FunctionVersion
from lambent.invocation.report import TextJournal


class Journals:
    """Implements `JournalSource`: one journal per environment, on the environment's log stream."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def open(self, version: FunctionVersion, identity: EnvironmentIdentity) -> Journal:
        stream = self._sink.open(
            account=version.account, region=version.region, group=identity.log_group, stream=identity.log_stream
        )
        if version.logging.format != "JSON":
            return TextJournal(stream, early=identity.provisioned or version.has_snapshot)
        # Imported where somebody uses it: it brings the schemas of the Telemetry API.
        from lambent.environments.telemetry.schemas import About
        from lambent.invocation.json_report import JsonJournal

        return JsonJournal(
            stream,
            About.of(version, identity),
            system=version.logging.system_level,
            application=version.logging.application_level,
        )

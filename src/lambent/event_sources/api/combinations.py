"""Ranges and combinations of settings, as they would be after a create or an update. Pure.

Looks at settings and never at what was sent, so that an update cannot leave two that exclude each other.
"""

from lambent.aws import event_pattern
from lambent.aws.errors import invalid_parameter
from lambent.event_sources.api import options
from lambent.event_sources.records import Settings
from lambent.event_sources.sources import Kind, Source
from lambent.functions.quotas import Quotas


def check_settings(settings: Settings, source: Source, topics: tuple[str, ...], quotas: Quotas) -> None:
    """Ranges and combinations of the settings as they would be."""
    _check_batch(settings, source)
    _check_streams(settings, source)
    _check_pollers(settings, source)
    for metric in settings.metrics:
        if metric not in source.metrics:
            raise options.refused(source, "MetricsConfig")
    _check_access(settings, source)
    destination = settings.on_failure
    if destination and not options.destination_is_possible(destination, source, topics, settings.pollers is not None):
        raise invalid_parameter(f"The destination ARN {destination} is invalid.")
    check_filters(settings.filters, quotas)


def _check_batch(settings: Settings, source: Source) -> None:
    if source.kind is not Kind.SQS:
        return
    if settings.batch_size > 10 and not settings.window_s:
        raise invalid_parameter(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if source.max_batch_size <= 10:
        if settings.window_s:
            raise invalid_parameter("Batching window is not supported for FIFO queues")
        if settings.batch_size > source.max_batch_size:
            raise invalid_parameter("Batch size must not exceed 10 for FIFO queues")


def _check_streams(settings: Settings, source: Source) -> None:
    if settings.maximum_record_age_s is not None and 0 <= settings.maximum_record_age_s < 60:
        raise invalid_parameter("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800")
    if settings.pollers is None:
        needing = {
            "MaximumRetryAttempts": settings.maximum_retry_attempts not in (None, -1),
            "MaximumRecordAgeInSeconds": settings.maximum_record_age_s not in (None, -1),
            "BisectBatchOnFunctionError": bool(settings.bisect_on_error),
            "FunctionResponseTypes": bool(settings.response_types),
        }
        for name, set_to_something in needing.items():
            if set_to_something and name in source.provisioned_only:
                raise options.refused(source, name)


def _check_pollers(settings: Settings, source: Source) -> None:
    pollers, bounds = settings.pollers, source.pollers
    if pollers is None or bounds is None:
        return
    if not (
        bounds.lowest <= pollers.minimum <= bounds.highest_minimum
        and pollers.minimum <= pollers.maximum <= bounds.highest
    ):
        raise invalid_parameter(
            f"MinimumPollers should be between [{bounds.lowest}, {bounds.highest_minimum}] and MaximumPollers should be"
            f" between [MinimumPollers, {bounds.highest}]"
        )
    if settings.maximum_concurrency is not None:
        raise invalid_parameter(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature."
            " Use MaximumPollers as the control mechanism and remove maximum concurrency."
        )


def _check_access(settings: Settings, source: Source) -> None:
    types = [access.type for access in settings.access]
    for kind in types:
        if kind not in source.access:
            raise invalid_parameter(f"Unsupported source access configuration type: {kind}")
    if not all(access.uri for access in settings.access):
        raise invalid_parameter("Required 'uri' parameter is missing.")
    if source.required_access is not None and source.required_access not in types:
        raise invalid_parameter(f"Required '{source.required_access}' source access configuration is missing.")
    if source.arn is None and not types:
        raise invalid_parameter("Required 'sourceAccessConfigurations' parameter is missing.")


def check_filters(filters: tuple[str, ...], quotas: Quotas) -> None:
    if len(filters) > quotas.max_event_filters:
        raise invalid_parameter(f"Number of filters exceeds the limit of {quotas.max_event_filters}.")
    for text in filters:
        try:
            event_pattern.parse(text)
        except event_pattern.InvalidPattern:
            raise invalid_parameter("Invalid filter pattern definition.") from None

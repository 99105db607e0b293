"""`lambent queue metrics`: what CloudWatch would show of a queue."""

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.metric_table import show_metrics


@click.group()
def queue() -> None:
    """Look at queues of SQS."""


@queue.command("metrics")
@click.argument("name")
@options.as_json
@options.endpoint
def metrics(name: str, as_json: bool, endpoint: str | None) -> None:
    """Show what CloudWatch would count of the queue NAME, of the last hours; by minute with --json."""
    found = Client.choose(endpoint).get("/_lambent/queue-metrics", {"QueueName": name})["Metrics"]
    show_metrics(found, as_json, "ages in seconds, sizes in bytes")

"""`lambent env`: the exports that point AWS clients at the server."""

import os
import shlex

import click

from lambent.cli import client, options

SHELLS = ("bash", "fish", "powershell")


@click.command()
@click.option("--shell", type=click.Choice(SHELLS), help="Which shell reads it.  [default: by $SHELL]")
@options.endpoint
def env(shell: str | None, endpoint: str | None) -> None:
    """Print the exports that point AWS clients here: eval "$(lambent env)".

    The key is a stand-in. A 12-digit access key id chooses an account of that number.
    """
    address = endpoint or os.environ.get("LAMBENT_ENDPOINT") or client.DEFAULT_ENDPOINT
    variables = {
        "AWS_ENDPOINT_URL": client.Client(address, client.Credentials.from_variables({})).endpoint,
        "AWS_ACCESS_KEY_ID": client.DEFAULT_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": client.DEFAULT_SECRET_KEY,
        # boto3 reads the second alone; other SDKs, and AWS CLI 2 before it, the first.
        "AWS_REGION": client.DEFAULT_REGION,
        "AWS_DEFAULT_REGION": client.DEFAULT_REGION,
    }
    chosen = shell or ("fish" if os.environ.get("SHELL", "").endswith("fish") else "bash")
    for name, value in variables.items():
        click.echo(export(chosen, name, value))


def export(shell: str, name: str, value: str) -> str:
    """The line that sets a variable in `shell`."""
    if shell == "fish":
        return f"set -gx {name} {shlex.quote(value)}"
    if shell == "powershell":
        return f"$Env:{name} = '{value.replace(chr(39), chr(39) * 2)}'"
    return f"export {name}={shlex.quote(value)}"

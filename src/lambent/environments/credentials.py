"""Session credentials of an environment, in the forms of an assumed role.

They are made here and known to nobody but the environment and its own AWS endpoint, which accepts no others.
"""

import base64
import os

from lambent.environments.ports import SessionCredentials


def issue(*, account: str, region: str, role: str, function_name: str) -> SessionCredentials:
    """New credentials for one environment of a function whose execution role is the ARN `role`."""
    return SessionCredentials(
        account=account,
        region=region,
        role_arn=role,
        session_name=session_name(function_name),
        # Base 32 is the alphabet of key ids, and ten bytes make sixteen characters.
        access_key_id="ASIA" + base64.b32encode(os.urandom(10)).decode(),
        secret_access_key=base64.b64encode(os.urandom(30)).decode(),
        session_token=base64.b64encode(os.urandom(192)).decode(),
    )


def session_name(function_name: str) -> str:
    """STS wants two characters at least, so a function whose name has one gets a suffix."""
    return function_name if len(function_name) > 1 else f"{function_name}@lambda_function"


def caller_arn(credentials: SessionCredentials) -> str:
    """What STS GetCallerIdentity prints: the role's path is left out of the assumed-role form."""
    partition, account = credentials.role_arn.split(":")[1], credentials.role_arn.split(":")[4]
    role_name = credentials.role_arn.rpartition("/")[2]
    return f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{credentials.session_name}"

"""The session of whoever hands in none."""

from __future__ import annotations

import os

import boto3


def default_session(region: str | None = None) -> boto3.Session:
    """Return a session for the region that the CDK CLI takes, too: ``AWS_REGION`` before all else.

    boto3 itself does not read that variable, but ``AWS_DEFAULT_REGION`` and the profile's region.

    Args:
        region: Another region.

    Raises:
        ProfileNotFound: ``AWS_PROFILE`` names none that there is.
    """
    return boto3.Session(region_name=region or os.environ.get("AWS_REGION") or None)

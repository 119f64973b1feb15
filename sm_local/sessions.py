"""boto3 sessions of roles, of which the local AWS makes many."""

from __future__ import annotations

from collections.abc import Mapping

import boto3
import botocore.session

from sm_local.state import REGION

_first = botocore.session.Session()


def session(credentials: Mapping[str, str]) -> boto3.Session:
    """Return a session.

    Reading the description of a service takes up to half a second, so all sessions share what was read.

    Args:
        credentials: Named as boto3 names them.
    """
    anew = botocore.session.Session()
    anew.register_component("data_loader", _first.get_component("data_loader"))
    return boto3.Session(
        botocore_session=anew,
        region_name=REGION,
        aws_access_key_id=credentials["aws_access_key_id"],
        aws_secret_access_key=credentials["aws_secret_access_key"],
        aws_session_token=credentials["aws_session_token"],
    )

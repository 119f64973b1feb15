"""Who can reach the local AWS, and how."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import create_default_context

import psutil
import pytest

from sm_local import process
from sm_local.server import HEALTH_PATH
from tests.local_aws import LocalAws

pytestmark = pytest.mark.e2e


@pytest.mark.usefixtures("dev_stack")
def test_every_process_listens_on_the_loopback_address_only(local_aws: LocalAws) -> None:
    server = process.find_server(local_aws.state)
    assert server is not None
    family = {
        psutil.Process(server.pid),
        *psutil.Process(server.pid).children(recursive=True),
        *process.owned_processes(local_aws.state),
    }
    places = {
        (each.laddr.ip, each.laddr.port)
        for one in family
        for each in one.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }

    assert {address for address, _port in places} == {"127.0.0.1"}
    ports = {port for _address, port in places}
    assert local_aws.port in ports
    assert len(ports) > 1, "the model's own port is not seen"


def test_the_local_aws_answers_over_tls_and_not_without(local_aws: LocalAws) -> None:
    trusting = create_default_context(cafile=str(local_aws.state.ca_bundle))
    secure = HTTPSConnection("127.0.0.1", local_aws.port, context=trusting, timeout=10)
    plain = HTTPConnection("127.0.0.1", local_aws.port, timeout=10)
    try:
        secure.request("GET", HEALTH_PATH)
        assert secure.getresponse().status == 200
        plain.request("GET", HEALTH_PATH)
        with pytest.raises((HTTPException, ConnectionError)):
            plain.getresponse()
    finally:
        secure.close()
        plain.close()

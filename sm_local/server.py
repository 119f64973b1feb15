"""The local AWS: MiniStack with a SageMaker, IAM enforced, over TLS, on 127.0.0.1 only.

``python -m sm_local.server --port 4510 --state-dir .sm_local`` runs it in the foreground; ``python -m sm_local up``
is what people use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import signal
from asyncio import constants
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sm_local import patches
from sm_local.clock import Clock
from sm_local.state import REGION, StateDirectory, client_environment
from sm_local.tls import ensure_certificate

HEALTH_PATH = "/_sm_local/health"

# What stacks of this library declare and the local AWS keeps without acting on it, or on all of it.
RECORDED_ONLY: Mapping[str, str] = {
    "AWS::ApiGateway::Stage": "answers and throttles; access and execution logs stay empty, nothing is traced",
    "AWS::ApplicationAutoScaling::ScalableTarget": "kept; nothing is scaled",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "kept; nothing is scaled",
    "AWS::CloudWatch::Dashboard": "kept; nothing draws it",
    "AWS::EC2::FlowLog": "kept; nothing is logged",
    "AWS::EC2::RouteTable": "kept; there are no networks",
    "AWS::EC2::SecurityGroup": "kept; there are no networks",
    "AWS::EC2::Subnet": "kept; there are no networks",
    "AWS::EC2::SubnetRouteTableAssociation": "kept; there are no networks",
    "AWS::EC2::VPC": "kept; there are no networks",
    "AWS::EC2::VPCEndpoint": "kept; there are no networks",
    "AWS::KMS::Key": "kept; objects and logs are not really encrypted with it",
    "AWS::Lambda::Permission": "kept; API Gateway calls a function without it, too",
    "AWS::RDS::DBClusterParameterGroup": "kept; PostgreSQL has its own parameters",
    "AWS::RDS::DBInstance": "kept; one PostgreSQL answers for a cluster, which never pauses",
    "AWS::RDS::DBSubnetGroup": "kept; there are no networks",
}

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def configure(port: int, state: StateDirectory) -> None:
    """Set what MiniStack reads from the environment; call it before MiniStack is imported."""
    # Lambda workers inherit this environment, and the machine's own settings would win over the certificate's.
    os.environ.update(client_environment(port, state))
    os.environ.update(
        AUTH="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        LAMBDA_EXECUTOR="local",
        MINISTACK_HOST="localhost",
        MINISTACK_REGION=REGION,
        MINISTACK_SSL_CERT=str(state.certificate.absolute()),
        MINISTACK_SSL_KEY=str(state.private_key.absolute()),
        PERSIST_STATE="0",
        S3_PERSIST="0",
        SFTP_ENABLED="0",
        USE_SSL="1",
    )
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)


def application(ministack: Any) -> Any:
    """Wrap MiniStack's ASGI application: our health answer, else MiniStack."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == HEALTH_PATH:
            body = json.dumps({"status": "running", "recorded_only": dict(RECORDED_ONLY)}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await ministack(scope, receive, send)

    return app


def serve(port: int, state: StateDirectory, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT, then stop every process that was started.

    Args:
        port: Where to listen on 127.0.0.1.
        state: Where to keep what there is to keep.
        clock: What alarm periods and idle times are measured with.

    Raises:
        OSError: The port is taken.
    """
    shutil.rmtree(state.endpoints, ignore_errors=True)
    shutil.rmtree(state.jobs, ignore_errors=True)
    shutil.rmtree(state.databases, ignore_errors=True)
    ensure_certificate(state)
    configure(port, state)

    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app as ministack

    from sm_local.aurora import Clusters
    from sm_local.cloudwatch.alarm import read_alarm
    from sm_local.cloudwatch.alarms import Alarms
    from sm_local.cloudwatch.metrics import Metrics
    from sm_local.recorded import flow_log
    from sm_local.sagemaker.resources import resource_types
    from sm_local.sagemaker.service import SageMaker

    alarms = Alarms(clock)
    sagemaker = SageMaker(state, clock=clock, metrics=Metrics(clock), alarms=alarms)
    clusters = Clusters(state)
    types = {**resource_types(sagemaker), "AWS::EC2::FlowLog": flow_log()}
    patches.apply(sagemaker.handle, types, read_alarm, clusters)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = str(state.certificate), str(state.private_key)
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.loglevel = "WARNING"
    logging.getLogger("hypercorn.access").setLevel(logging.WARNING)
    # An idle client leaves TLS's farewell unanswered: wait a second for it, not thirty.
    constants.SSL_SHUTDOWN_TIMEOUT = 1.0

    async def run() -> None:
        stop = asyncio.Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
        evaluation = asyncio.create_task(alarms.run())
        await hypercorn_serve(application(ministack.app), config, shutdown_trigger=stop.wait)
        evaluation.cancel()

    try:
        asyncio.run(run())
    finally:
        sagemaker.shut_down()
        clusters.shut_down()
        patches.lambda_functions.stop_lambda_workers()


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m sm_local.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument(
        "--time-scale",
        dest="clock",
        metavar="N",
        type=lambda text: Clock(float(text)),
        default="1",
        help="how many times as fast as the wall clock time passes",
    )
    arguments = parser.parse_args()
    serve(arguments.port, StateDirectory(arguments.state_dir.absolute()), arguments.clock)
    logging.shutdown()
    # MiniStack leaves threads that would keep the process; everything that must end has ended.
    os._exit(0)


if __name__ == "__main__":
    main()

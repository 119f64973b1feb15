"""Logs, metrics and traces of the functions. They never hold a text, nor anything else that a caller sent.

Powertools reads their names from the environment: ``POWERTOOLS_SERVICE_NAME``, ``POWERTOOLS_LOG_LEVEL`` and
``POWERTOOLS_METRICS_NAMESPACE``.
"""

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics
from aws_lambda_powertools.tracing import Tracer

logger = Logger()
metrics = Metrics()
tracer = Tracer(auto_patch=False)  # patching every library it knows would import them

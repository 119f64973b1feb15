"""Synthesizes every judged app with all plugins at once.

A program of its own (``python -m tests.gates.synthesize DIRECTORY``), because the tests around it may have started
their Node process with validation switched off, and then no checker would say a word.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from cdklabs.cdk_validator_cfnguard import CfnGuardValidator

from sm_constructs import LambdaPlatform
from sm_constructs.bundling import LAYERS, layer_hash
from tests.gates.apps import APPS, FAULTY, MODEL, JudgedApp, cdk_json_context

REPORT = "validation-report.json"
FAILURE = "failure.txt"


def synthesize(judged: JudgedApp, directory: Path) -> None:
    """Write an app's templates and validation report to a directory.

    The app is built as the CDK CLI would build it: with the context of cdk.json, whose
    ``validateAgainstDefaultRules`` turns the findings of CDK's own validator from warnings into violations.
    """
    app = cdk.App(
        outdir=str(directory),
        analytics_reporting=False,
        context={**cdk_json_context(), **judged.context, "aws:cdk:enable-path-metadata": True},
        policy_validation_beta1=[CfnGuardValidator()],
    )
    judged.build(app)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), NIST80053R5Checks(app))
    try:
        app.synth()
    except RuntimeError as error:
        # jsii has one class for all errors. This one means that there is something to read in the report.
        if not str(error).startswith("ValidationFailed:"):
            raise


def write_build_products() -> None:
    """Write into the working directory what a build would have made; its contents do not change a template."""
    model = Path(MODEL)
    (model / "code").mkdir(parents=True)
    for name in ("model.joblib", "metadata.json", "code/inference.py"):
        (model / name).write_text(f"stands for {name}\n", encoding="utf-8")
    bundles = Path(".build/bundles")
    bundles.mkdir()
    platform = LambdaPlatform()
    for layer in LAYERS:
        name = f"{layer}-{platform.key}-{layer_hash(layer, platform)[:16]}.zip"
        (bundles / name).write_bytes(b"PK\x05\x06" + bytes(18))  # a zip file with nothing in it


def main(output: Path) -> None:
    """Synthesize all apps below a directory; what goes wrong with one is written beside its templates."""
    write_build_products()
    for judged in [*APPS.values(), FAULTY]:
        directory = output / judged.name
        directory.mkdir(parents=True)
        try:
            synthesize(judged, directory)
        except BaseException:  # SystemExit too: an app may end itself
            (directory / FAILURE).write_text(traceback.format_exc(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

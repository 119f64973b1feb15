"""``python -m sm_constructs bundle``: what has to be done before synth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sm_constructs.bundling import BundlingError, bundle
from sm_constructs.errors import InvalidPropsError
from sm_constructs.lambda_platform import ARCHITECTURES, PYTHON_VERSIONS, LambdaPlatform


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 (by argparse) wrong arguments."""
    options = _parser().parse_args(arguments)
    try:
        bundle(_platform(options), on_progress=_report)
    except (BundlingError, InvalidPropsError) as error:
        _report(f"error: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    default = LambdaPlatform()
    parser = argparse.ArgumentParser(prog="python -m sm_constructs", description="Prepare what synth needs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "bundle",
        help="build the Lambda functions' dependencies into zip files",
        description=(
            "Build the Lambda functions' dependencies into zip files, without Docker, from locked and hashed "
            "requirements. Does nothing where they are built already. They go to .build/bundles, or to the "
            "directory that the environment variable SM_CONSTRUCTS_BUNDLES names."
        ),
    )
    command.add_argument(
        "--platform",
        choices=("lambda", "local"),
        default="lambda",
        help="lambda: AWS Lambda (default); local: the running interpreter, for a local AWS",
    )
    command.add_argument(
        "--python", choices=PYTHON_VERSIONS, help=f"Lambda's version of Python (default: {default.python})"
    )
    command.add_argument(
        "--architecture", choices=ARCHITECTURES, help=f"Lambda's processor (default: {default.architecture})"
    )
    command.set_defaults(fail=command.error)
    return parser


def _platform(options: argparse.Namespace) -> LambdaPlatform:
    if options.platform == "local":
        if options.python or options.architecture:
            options.fail("--platform local is the running interpreter: omit --python and --architecture")
        return LambdaPlatform.local()
    default = LambdaPlatform()
    return LambdaPlatform(
        python=options.python or default.python, architecture=options.architecture or default.architecture
    )


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

"""What functions that classify are told of the endpoint and of the functions that annotate."""

from __future__ import annotations

from aws_cdk import aws_sagemaker as sagemaker

from sm_constructs.preprocessing import TextPreprocessor


def endpoint_environment(
    endpoint: sagemaker.IEndpoint, preprocessor: TextPreprocessor | None, seconds: float
) -> dict[str, str]:
    """Return the environment of a function whose calls of them take at most so many seconds, repetitions included."""
    functions = preprocessor.functions if preprocessor else {}
    return {
        "ENDPOINT_NAME": endpoint.endpoint_name,
        "ENDPOINT_TIMEOUT_SECONDS": f"{seconds:.1f}",
        **{
            f"PREPROCESSOR_FUNCTION_{language.upper()}": function.function_name
            for language, function in functions.items()
        },
    }

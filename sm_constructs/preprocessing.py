"""The functions that annotate texts: tokens, part-of-speech tags, named entities and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._function import RuntimeFunction, function_problems, grant_invoke
from sm_constructs._language_models import LAYERS, model_problems
from sm_constructs._validation import Problems
from sm_constructs.bundling import model_zip
from sm_constructs.lambda_platform import LAMBDA, LambdaPlatform
from sm_constructs.start_up import SnapStart, StartUp, prepared, start_up_problems

LANGUAGES = ("en", "zh")
"""The languages whose texts can be annotated, as ISO 639-1 codes."""

_LONGEST_TIMEOUT_SECONDS = 900


class TextPreprocessor(Construct):
    """Define one Lambda function for each language, which annotates texts.

    A function is invoked with ``{"texts": ["…"]}``, 1 to 100 texts of 20,000 characters together, and answers
    ``{"annotations": […]}`` with one entry for each text: ``{"tokens": [{"text", "start", "end", "pos"}, …],
    "entities": [{"text", "start", "end", "type"}, …], "features": {…}}``, or ``{"error": "…"}`` for a text that is
    none. ``start`` and ``end`` count characters (Unicode code points) of the text as it was sent; ``pos`` are
    Universal POS tags; entities are PERSON, LOCATION, ORGANIZATION and whatever else the language's model knows.
    ``docs/languages.md`` describes all of them, the libraries and how well they do.

    Each function has a role that may write to the function's own log group and send traces, and nothing else.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        languages: The languages to make functions for, out of ``"en"`` and ``"zh"``. When omitted: both.
        english_model: A directory with a spaCy pipeline of your own that sets tags and entities, such as
            ``nlp.to_disk`` writes or ``en_core_web_md`` has. When omitted: ``en_core_web_sm``.
        chinese_model: A directory with a LAC model of your own: ``lac_encoder.onnx``,
            ``lac_crf_transitions.npy``, ``word.dic``, ``tag.dic`` and, if it has one, ``q2b.dic``. When omitted:
            Baidu's.
        start_up: :class:`~sm_constructs.SnapStart` or :class:`~sm_constructs.ProvisionedConcurrency`, which load
            the models before anybody calls, for a price. When omitted: the first call of each copy of a function
            waits for it, some seconds.
        memory_size_mb: Memory of each function in MB, 128 to 10,240. When omitted: 1,769 MB, with which Lambda
            gives a function one whole processor.
        timeout: How long one call may take, 1 to 900 seconds. When omitted: 20 seconds, which leaves a caller
            behind API Gateway time to answer.
        reserved_concurrent_executions: How many calls of each function run at the same time at most; taken
            out of what the account's other functions share. When omitted: no limit but the account's.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the functions run in, in its private subnets. When omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables and logs. Its policy is made to let CloudWatch
            Logs use it, which for an imported key is up to its owner. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        functions: The functions by language.
        invoked: What callers invoke, by language: the functions, or with ``start_up`` their aliases.

    Raises:
        InvalidPropsError: Arguments that Lambda would refuse, all of them at once; or the functions'
            dependencies have not been bundled, with the command that does it.

    Example: ``docs/examples/text_preprocessor.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        languages: Sequence[str] = LANGUAGES,
        english_model: str | Path | None = None,
        chinese_model: str | Path | None = None,
        start_up: StartUp | None = None,
        memory_size_mb: int = 1_769,
        timeout: Duration | None = None,
        reserved_concurrent_executions: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        timeout = timeout or Duration.seconds(20)
        platform = lambda_platform or LambdaPlatform()

        problems = Problems()
        problems.unless(bool(languages), "languages is empty: name at least one of 'en', 'zh'")
        problems.unless(len(set(languages)) == len(languages), "languages names one of them twice")
        for language in languages:
            problems.one_of("languages", language, LANGUAGES)
        function_problems(
            problems,
            memory_size_mb=memory_size_mb,
            timeout=timeout,
            longest_timeout_seconds=_LONGEST_TIMEOUT_SECONDS,
            reserved_concurrent_executions=reserved_concurrent_executions,
            lambda_platform=platform,
        )
        problems.unless(
            platform.system != LAMBDA or platform.python != "3.11",
            "lambda_platform.python is '3.11': the languages' libraries have no wheels for its Amazon Linux 2: use a "
            "newer one",
        )
        problems.extend(
            start_up_problems(
                start_up, reserved_concurrent_executions=reserved_concurrent_executions, lambda_platform=platform
            )
        )
        given = {"en": english_model, "zh": chinese_model}
        for language in given.keys() - set(languages):
            problems.unless(given[language] is None, f"{LAYERS[language]}_model without '{language}' in languages")
        models = {language: Path(model) for language, model in given.items() if model is not None}
        if not list(problems):
            problems.extend(model_problems(models, platform))
        problems.raise_for(self)

        self.functions: Mapping[str, lambda_.Function] = {
            language: self._function(
                language,
                model=models.get(language),
                start_up=start_up,
                memory_size_mb=memory_size_mb,
                timeout=timeout,
                reserved_concurrent_executions=reserved_concurrent_executions,
                log_retention=log_retention,
                removal_policy=removal_policy,
                vpc=vpc,
                encryption_key=encryption_key,
                lambda_platform=platform,
            )
            for language in languages
        }
        self.invoked: Mapping[str, lambda_.IFunction] = {
            language: prepared(function, start_up) for language, function in self.functions.items()
        }

    def _function(
        self,
        language: str,
        *,
        model: Path | None,
        start_up: StartUp | None,
        memory_size_mb: int,
        timeout: Duration,
        reserved_concurrent_executions: int | None,
        log_retention: logs.RetentionDays,
        removal_policy: RemovalPolicy,
        vpc: ec2.IVpc | None,
        encryption_key: kms.IKey | None,
        lambda_platform: LambdaPlatform,
    ) -> lambda_.Function:
        with TemporaryDirectory() as directory:
            return RuntimeFunction(
                self,
                language.capitalize(),
                handler="text_classification.handlers.annotate.handler",
                service=f"annotate-{language}",
                layers=["core", LAYERS[language]],
                environment={"LANGUAGE": language, **({"LANGUAGE_MODEL": "/opt/model"} if model else {})},
                memory_size_mb=memory_size_mb,
                timeout=timeout,
                reserved_concurrent_executions=reserved_concurrent_executions,
                log_retention=log_retention,
                removal_policy=removal_policy,
                vpc=vpc,
                encryption_key=encryption_key,
                lambda_platform=lambda_platform,
                model_layer=model_zip(model, Path(directory)) if model else None,
                snap_start=isinstance(start_up, SnapStart),
            ).function

    @property
    def environment(self) -> dict[str, str]:
        """What a function has to know to call the functions, when :meth:`grant_invoke` lets it."""
        return {
            f"PREPROCESSOR_FUNCTION_{language.upper()}": invoked.function_name
            for language, invoked in self.invoked.items()
        }

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to invoke the function of every language."""
        grants = [grant_invoke(function, grantee) for function in self.invoked.values()]
        combined = grants[0]
        for grant in grants[1:]:
            combined = combined.combine(grant)
        return combined

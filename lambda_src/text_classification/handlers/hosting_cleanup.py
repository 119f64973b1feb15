"""Deletes the models and endpoint configurations that promotions made and nobody uses any more."""

from __future__ import annotations

from datetime import datetime

from text_classification.gateways.hosting import Hosting
from text_classification.handlers.telemetry import logger
from text_classification.logic.promotion import unused


def remove_unused(
    endpoint: Hosting,
    prefix: str,
    configs: set[str],
    *,
    only: str | None = None,
    made_before: datetime | None = None,
) -> dict[str, list[str]]:
    """Delete the configurations and models whose names begin with ``prefix``, but those that ``configs`` names use.

    Args:
        endpoint: Knows them.
        prefix: How their names begin.
        configs: The names of the configurations in use.
        only: The name of what may be deleted. When omitted: whatever begins so.
        made_before: What was made later is kept: somebody may be about to use it. When omitted: nothing is.
    """
    made = {
        "configs": [name for name in endpoint.configs(prefix, made_before) if only in (None, name)],
        "models": [name for name in endpoint.models(prefix, made_before) if only in (None, name)],
    }
    kept = [endpoint.config(name) for name in configs]
    models = {
        variant.get("ModelName")
        for config in kept
        for variant in (*config["ProductionVariants"], *config.get("ShadowProductionVariants", ()))
    }
    removed = {"configs": unused(made["configs"], configs), "models": unused(made["models"], filter(None, models))}
    for name in removed["configs"]:
        endpoint.delete_config(name)
    for name in removed["models"]:
        endpoint.delete_model(name)
    logger.info("cleaned up", extra=removed)
    return removed

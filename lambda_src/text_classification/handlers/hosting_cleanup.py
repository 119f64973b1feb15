"""Deletes the models and endpoint configurations that promotions made and nobody uses any more."""

from __future__ import annotations

from text_classification.gateways.hosting import Hosting
from text_classification.handlers.telemetry import logger
from text_classification.logic.promotion import unused


def remove_unused(endpoint: Hosting, prefix: str, configs: set[str]) -> dict[str, list[str]]:
    """Delete the configurations and models whose names begin with ``prefix``, but those that ``configs`` names use."""
    made = endpoint.configs(prefix)
    kept = [endpoint.config(name) for name in configs]
    models = {
        variant.get("ModelName")
        for config in kept
        for variant in (*config["ProductionVariants"], *config.get("ShadowProductionVariants", ()))
    }
    removed = {"configs": unused(made, configs), "models": unused(endpoint.models(prefix), filter(None, models))}
    for name in removed["configs"]:
        endpoint.delete_config(name)
    for name in removed["models"]:
        endpoint.delete_model(name)
    logger.info("cleaned up", extra=removed)
    return removed

"""Tags of SageMaker's resources; nothing depends on them."""

from __future__ import annotations

import threading

from sm_local.sagemaker.registry import Parameters


class Tags:
    """The tags of all resources, by ARN."""

    def __init__(self) -> None:
        self._tags: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def keep(self, answer: Parameters, parameters: Parameters) -> None:
        """Keep the tags of a request that has made what the answer names, which had none before."""
        made = next((value for name, value in answer.items() if name.endswith("Arn")), None)
        if made is not None:
            with self._lock:
                self._tags[str(made)] = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags") or ()}

    def add(self, parameters: Parameters) -> Parameters:
        """Add tags to a resource, or change their values."""
        with self._lock:
            kept = self._tags.setdefault(parameters["ResourceArn"], {})
            kept |= {tag["Key"]: tag["Value"] for tag in parameters["Tags"]}
        return self.list(parameters)

    def delete(self, parameters: Parameters) -> Parameters:
        """Take tags from a resource."""
        with self._lock:
            for key in parameters["TagKeys"]:
                self._tags.get(parameters["ResourceArn"], {}).pop(key, None)
        return {}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the tags of a resource."""
        with self._lock:
            kept = dict(self._tags.get(parameters["ResourceArn"], {}))
        return {"Tags": [{"Key": key, "Value": value} for key, value in kept.items()]}

"""Data capture: sampled requests and answers as JSON lines in S3, as SageMaker writes them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import datetime
import json
import queue
import random
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass

from sm_local.sagemaker.config import CaptureSettings
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole

# AWS delivers within a couple of minutes.
_INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Captured:
    variant_name: str
    role: AssumedRole
    moment: datetime.datetime
    line: str


class DataCapture:
    """Writes what is captured of an endpoint, beside the calls and with the permissions of the model's role.

    Args:
        endpoint_name: The endpoint.
        settings: What is captured.
    """

    def __init__(self, endpoint_name: str, settings: CaptureSettings) -> None:
        self.settings = settings
        self._endpoint_name = endpoint_name
        self._queue: queue.SimpleQueue[_Captured | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    def keep(self, variant_name: str, role: AssumedRole, invocation: Invocation, answer: Answer) -> None:
        """Capture a call if it is drawn."""
        if not self.settings.enabled or random.random() * 100 >= self.settings.percentage:  # noqa: S311 - not a secret
            return
        now = datetime.datetime.now(datetime.UTC)
        line = json.dumps(record(self.settings, invocation, answer, now), ensure_ascii=False)
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="sagemaker-capture", daemon=True)
                self._writer.start()
        self._queue.put(_Captured(variant_name, role, now, line))

    def close(self) -> None:
        """Write what was captured so far."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join(timeout=10)

    def _write(self) -> None:
        ended = threading.Event()
        while not ended.wait(_INTERVAL_SECONDS):
            files: defaultdict[tuple[str, str], list[_Captured]] = defaultdict(list)
            while not self._queue.empty():
                if (captured := self._queue.get()) is None:
                    ended.set()
                else:
                    files[captured.variant_name, f"{captured.moment:%Y/%m/%d/%H}"].append(captured)
            for (variant_name, hour), lines in files.items():
                self._write_file(variant_name, hour, lines)

    def _write_file(self, variant_name: str, hour: str, lines: list[_Captured]) -> None:
        moment = lines[0].moment
        name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        where = self.settings.destination.below(f"{self._endpoint_name}/{variant_name}/{hour}/{name}")
        body = "".join(f"{captured.line}\n" for captured in lines).encode()
        try:
            put_object(lines[0].role, where, body, kms_key_id=self.settings.kms_key_id)
        except Exception as error:
            print(f"cannot write captured data to {where}: {error}", flush=True)


def record(settings: CaptureSettings, invocation: Invocation, answer: Answer, moment: datetime.datetime) -> Parameters:
    """Return a line of a capture file, as an object."""
    data: Parameters = {}
    if settings.request:
        data["endpointInput"] = _side(settings, "INPUT", invocation.content_type, invocation.body)
    if settings.answer:
        data["endpointOutput"] = _side(settings, "OUTPUT", answer.content_type, answer.body)
    metadata: Parameters = {"eventId": str(uuid.uuid4())}
    if invocation.custom_attributes:
        metadata["customAttributes"] = [invocation.custom_attributes]
    if invocation.inference_id:
        metadata["inferenceId"] = invocation.inference_id
    metadata["inferenceTime"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _side(settings: CaptureSettings, mode: str, content_type: str, body: bytes) -> Parameters:
    essence = content_type.partition(";")[0].strip().lower()
    encoding, data = "BASE64", base64.b64encode(body).decode()
    if essence in settings.csv_types | settings.json_types:
        encoding, data = "CSV" if essence in settings.csv_types else "JSON", body.decode(errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def put_object(
    role: AssumedRole, where: S3Location, body: bytes, *, kms_key_id: str | None = None, content_type: str | None = None
) -> None:
    """Write an object with a role's permissions.

    Raises:
        ClientError: It may not.
    """
    wanted: dict[str, str] = {}
    if kms_key_id:
        wanted |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
    if content_type:
        wanted["ContentType"] = content_type
    role.s3.put_object(Bucket=where.bucket, Key=where.key, Body=body, **wanted)

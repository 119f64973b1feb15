"""Where the local AWS keeps what it knows: one directory that git ignores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The layout below ``.sm_local/``.

    >>> StateDirectory(Path(".sm_local")).server_log.as_posix()
    '.sm_local/logs/server.log'
    """

    root: Path

    @property
    def server_log(self) -> Path:
        return self.root / "logs" / "server.log"

    @property
    def endpoint_logs(self) -> Path:
        return self.root / "logs" / "endpoints"

    @property
    def endpoints(self) -> Path:
        """Where the archives of served models are unpacked."""
        return self.root / "endpoints"

    @property
    def jobs(self) -> Path:
        """What training, processing and transform jobs find and make in their containers."""
        return self.root / "jobs"

    @property
    def databases(self) -> Path:
        """Where the data of Aurora clusters are."""
        return self.root / "databases"

    @property
    def certificate(self) -> Path:
        return self.root / "tls" / "server.pem"

    @property
    def private_key(self) -> Path:
        return self.root / "tls" / "server.key"

    @property
    def ca_bundle(self) -> Path:
        """The machine's own certificate authorities, and the local AWS's certificate."""
        return self.root / "tls" / "ca-bundle.pem"


def client_environment(port: int, state: StateDirectory) -> dict[str, str]:
    """Return what a process needs in its environment to talk to the local AWS, and only to it."""
    bundle = str(state.ca_bundle.absolute())
    return {
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
        "AWS_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        # A profile or a session of the real AWS would win over the keys above.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

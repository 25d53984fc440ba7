"""Fixtures that any test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.moto_s3 import DUMMY_ENVIRONMENT, Bucket, MotoS3, moto_server

# Set before any client is made: no test ever reaches a real account, and no client waits for an instance's metadata service.
os.environ.update(DUMMY_ENVIRONMENT)
for _name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[MotoS3]:
    """An S3-compatible server on loopback (moto), one for the whole session."""
    with moto_server() as server:
        yield server


@pytest.fixture
def s3_bucket(moto_s3: MotoS3) -> Bucket:
    """A fresh bucket, with the StorageOptions that reach it."""
    return moto_s3.bucket()

"""The shelves that the settings name."""

from __future__ import annotations

from pathlib import Path

from app.files.disk import Disk
from app.files.s3 import S3
from app.files.shelf import Shelf
from app.files.store import DISK, Files
from app.settings.media import MediaSettings
from app.vault import Vault


def opened(vault: Vault, settings: MediaSettings) -> Files:
    """The store. The folder stays a shelf also where new files go elsewhere: what lies there is
    read and removed there."""
    folder = Path(settings.folder)
    kept: dict[str, Shelf] = {DISK: Disk(folder)}
    if settings.s3 is None:
        return Files(vault, folder, kept, DISK, settings.free_bytes_min)
    usual = f"s3:{settings.s3.bucket}"
    kept[usual] = S3(settings.s3)
    return Files(vault, folder, kept, usual, settings.free_bytes_min)

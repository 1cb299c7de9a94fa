"""What this machine has of what the SDK's tests need, and what to say when something is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path(__file__).parents[1]
PACKAGE = FOLDER / "node_modules" / "@twilio" / "conversations"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def node() -> str | None:
    """The path of Node."""
    return shutil.which("node")


def chromium() -> str | None:
    """The path of a Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def missing(browser: bool) -> str | None:
    """Why these tests cannot run here; None when they can."""
    if node() is None:
        return "Node is not installed: the official SDK cannot be driven"
    if not PACKAGE.is_dir():
        return "the official SDK is not installed: run `npm ci` in tests/realtime"
    if browser and chromium() is None:
        return "Chromium is not installed: the page cannot be opened"
    return None

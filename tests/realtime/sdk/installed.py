"""What this machine has of what the SDK's tests need, and what to say when something is missing."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1]
PACKAGE = FOLDER / "node_modules" / "@twilio" / "conversations"
NODE_MIN = 20
"""What the package asks for."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def node() -> str | None:
    """The path of Node."""
    return shutil.which("node")


def chromium() -> str | None:
    """The path of a Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@cache
def missing(browser: bool) -> str | None:
    """Why these tests cannot run here; None when they can."""
    program = node()
    if program is None:
        return "Node is not installed: the official SDK cannot be driven"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if int(said.stdout.strip().lstrip("v").partition(".")[0]) < NODE_MIN:
        return f"Node is older than {NODE_MIN}: the official SDK does not support it"
    if not PACKAGE.is_dir():
        return "the official SDK is not installed: run `npm ci` in tests/realtime"
    if browser and chromium() is None:
        return "Chromium is not installed: no page can be opened"
    return None

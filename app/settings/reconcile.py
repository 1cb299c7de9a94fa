"""How carriers' lists are compared with what their webhooks brought."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.section import Model


class ReconcileSettings(Model):
    """Every `every_s` the list of each carrier that has one is read: from `overlap_s` before the
    end of the last look (a list may be late) to `grace_s` ago (a webhook may be under way), never
    further back than `look_back_s`."""

    every_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    grace_s: Annotated[float, Field(ge=0, le=86_400)] = 120.0
    overlap_s: Annotated[float, Field(ge=0, le=86_400)] = 900.0
    look_back_s: Annotated[float, Field(gt=0, le=2_592_000)] = 259_200.0

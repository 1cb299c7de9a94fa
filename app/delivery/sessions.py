"""Whether a recipient may be written to freely, and what else can be sent to them by whom."""

from __future__ import annotations

from datetime import datetime

from app.carriers.contract import Carrier, Templating
from app.model.traffic import ContentTemplate
from app.rules import standing
from app.runtime import Runtime
from app.store.deliveries import Parcel


def is_open(runtime: Runtime, parcel: Parcel, at: datetime) -> bool | None:
    """Whether they may be written to freely at this time; None: that is left to the carrier."""
    if runtime.settings.limits.session == "carrier":
        return None
    return standing.is_open(parcel.channel, parcel.standing.last_inbound_at, at)


def starts(carrier: Carrier, template: ContentTemplate) -> bool:
    """Whether this carrier can send the template, once it is approved, to who may not be written to
    freely."""
    return isinstance(carrier, Templating) and carrier.knows(template)

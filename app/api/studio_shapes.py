"""What answers look like: the keys of flows and executions."""

from __future__ import annotations

from collections.abc import Mapping

from app import ids
from app.api.schemas import (
    ACCOUNT,
    DATES,
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    URL,
    Schema,
    links,
    many,
    null,
    sid,
    words,
)
from app.model.flows import ACTIVE, DRAFT, ENDED, PUBLISHED

FLOW, EXECUTION, STEP = sid(ids.FLOW), sid(ids.EXECUTION), sid(ids.EXECUTION_STEP)
DESCRIBED: Mapping[str, Schema] = {
    "sid": FLOW,
    "account_sid": ACCOUNT,
    "author_sid": null(sid(ids.USER)),
    "friendly_name": TEXT,
    "status": words(DRAFT, PUBLISHED),
    "revision": NUMBER,
    "commit_message": null(TEXT),
    "definition": null(OBJECT),
    "valid": null(FLAG),
    "errors": null(many(OBJECT)),
    **DATES,
    "url": URL,
}

STUDIO: Mapping[str, Mapping[str, Schema]] = {
    "Flow": {
        **DESCRIBED,
        "warnings": null(many(OBJECT)),
        "webhook_url": null(URL),
        "links": links("test_users", "revisions", "executions"),
    },
    "FlowRevision": DESCRIBED,
    "FlowValidate": {"valid": FLAG},
    "FlowTestUsers": {"sid": FLOW, "test_users": many(TEXT), "url": URL},
    "Execution": {
        "sid": EXECUTION,
        "account_sid": ACCOUNT,
        "flow_sid": FLOW,
        "contact_channel_address": null(TEXT),
        "contact_sid": null(sid(ids.CONTACT)),
        "flow_version": NUMBER,
        "context": OBJECT,
        "status": words(ACTIVE, ENDED),
        "initiated_by": null(TEXT),
        **DATES,
        "url": URL,
        "links": links("steps", "execution_context"),
    },
    "ExecutionContext": {
        "account_sid": ACCOUNT,
        "context": OBJECT,
        "flow_sid": FLOW,
        "execution_sid": EXECUTION,
        "url": URL,
    },
    "ExecutionStep": {
        "sid": STEP,
        "account_sid": ACCOUNT,
        "flow_sid": FLOW,
        "execution_sid": EXECUTION,
        "parent_step_sid": null(STEP),
        "name": TEXT,
        "context": OBJECT,
        "transitioned_from": TEXT,
        "transitioned_to": TEXT,
        "type": TEXT,
        **DATES,
        "url": URL,
        "links": links("step_context"),
    },
    "ExecutionStepContext": {
        "account_sid": ACCOUNT,
        "context": OBJECT,
        "flow_sid": FLOW,
        "execution_sid": EXECUTION,
        "step_sid": STEP,
        "url": URL,
    },
}

ANSWERS: Mapping[str, tuple[str, str]] = {
    "/Flows/Validate": ("FlowValidate", ""),
    "/Flows": ("Flow", "flows"),
    "/Flows/{Sid}/TestUsers": ("FlowTestUsers", ""),
    "/Flows/{Sid}/Revisions": ("FlowRevision", "revisions"),
    "/Flows/{FlowSid}/Executions": ("Execution", "executions"),
    "/Flows/{FlowSid}/Executions/{ExecutionSid}/Context": ("ExecutionContext", ""),
    "/Flows/{FlowSid}/Executions/{ExecutionSid}/Steps": ("ExecutionStep", "steps"),
    "/Flows/{FlowSid}/Executions/{ExecutionSid}/Steps/{StepSid}/Context": (
        "ExecutionStepContext",
        "",
    ),
}
"""By path: the shape, and the name of a page's array."""

"""The API of flows on one page: what is below `/v2`."""

from __future__ import annotations

from collections.abc import Iterator

from app.api import execution_steps, executions, flow_revisions, flows
from app.api.routes import ACCOUNT, Route, Row, mounted

VERSION = "/v2"

STUDIO = (
    Row(flows.PATH + "/Validate", ACCOUNT, update=flows.validate),
    Row(flows.PATH, ACCOUNT, page=flows.page, create=flows.create),
    Row(
        flows.PATH + "/{Sid}",
        ACCOUNT,
        fetch=flows.fetch,
        update=flows.update,
        delete=flows.delete,
    ),
    Row(
        flows.PATH + "/{Sid}/TestUsers",
        ACCOUNT,
        fetch=flows.fetch_test_users,
        update=flows.update_test_users,
    ),
    Row(flow_revisions.PATH, ACCOUNT, page=flow_revisions.page),
    Row(flow_revisions.PATH + "/{Revision}", ACCOUNT, fetch=flow_revisions.fetch),
    Row(executions.PATH, ACCOUNT, page=executions.page, create=executions.create),
    Row(
        executions.PATH + "/{Sid}",
        ACCOUNT,
        fetch=executions.fetch,
        update=executions.update,
        delete=executions.delete,
    ),
    Row(executions.PATH + "/{ExecutionSid}/Context", ACCOUNT, fetch=executions.fetch_context),
    Row(execution_steps.PATH, ACCOUNT, page=execution_steps.page),
    Row(execution_steps.PATH + "/{Sid}", ACCOUNT, fetch=execution_steps.fetch),
    Row(
        execution_steps.PATH + "/{StepSid}/Context",
        ACCOUNT,
        fetch=execution_steps.fetch_context,
    ),
)


def studio_routes() -> Iterator[Route]:
    """The operations below `/v2`."""
    return mounted(STUDIO)

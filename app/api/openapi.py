"""The API in OpenAPI 3.1, from what the API itself is made of: routes, parameters, shapes.

What an operation is called and does are the name and the docstring of its verb.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import VERSION
from app.api.content_shapes import CONTENTS
from app.api.forms import Parameter
from app.api.idempotency import HEADER as IDEMPOTENCY_KEY
from app.api.idempotency import KEY_CHARS_MAX
from app.api.page import PAGE, PAGE_SIZE, PAGE_TOKEN, PLATFORM_MAX
from app.api.routes import CONVERSATION, MESSAGE, SERVICE, Route
from app.api.schemas import FLAG, NUMBER, OBJECT, TEXT, URL, Schema, null, whole
from app.api.setting_shapes import SETTINGS
from app.api.shapes import IN_SERVICE_ONLY, SHAPES
from app.api.stream_shapes import STREAMS
from app.api.studio_shapes import ANSWERS as OF_FLOWS
from app.api.studio_shapes import STUDIO

PATH = "/openapi.json"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TOLD = "X-Twilio-Webhook-Enabled"
FILES = ("application/x-ndjson", "text/csv", "application/mbox")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers: a resource of this shape, and as a page in an array of this name."""

    shape: str
    listed: str = ""


# By path without its last segment when that names one of many, and without the service when both
# trees answer alike.
ANSWERS: Mapping[str, Answer] = {
    "/Conversations": Answer("Conversation", "conversations"),
    f"{CONVERSATION}/Messages": Answer("Message", "messages"),
    f"{MESSAGE}/Receipts": Answer("Receipt", "delivery_receipts"),
    f"{CONVERSATION}/Participants": Answer("Participant", "participants"),
    f"{CONVERSATION}/Webhooks": Answer("ScopedWebhook", "webhooks"),
    "/Messages/Search": Answer("FoundMessage", "messages"),
    "/ConversationWithParticipants": Answer("Conversation"),
    "/ParticipantConversations": Answer("ParticipantConversation", "conversations"),
    "/Roles": Answer("Role", "roles"),
    "/Users": Answer("User", "users"),
    "/Users/{UserSid}/Conversations": Answer("UserConversation", "conversations"),
    "/Services": Answer("Service", "services"),
    "/Configuration": Answer("Configuration"),
    f"{SERVICE}/Configuration": Answer("ServiceConfiguration"),
    "/Configuration/Notifications": Answer("Notifications"),
    "/Configuration/Webhooks": Answer("AccountWebhooks"),
    f"{SERVICE}/Configuration/Webhooks": Answer("ServiceWebhooks"),
    "/Configuration/Addresses": Answer("AddressConfiguration", "address_configurations"),
    "/Credentials": Answer("Credential", "credentials"),
    "/Bindings": Answer("PushBinding", "bindings"),
    f"{SERVICE}/Channels": Answer("Channel"),
    f"{MESSAGE}/ChannelMetadata": Answer("ChannelMetadata"),
    "/Content": Answer("Content", "contents"),
    "/Content/{Sid}/ApprovalRequests": Answer("ContentApprovals"),
    "/Content/{Sid}/ApprovalRequests/whatsapp": Answer("ContentApproval"),
    "/ContentAndApprovals": Answer("ContentAndApprovals", "contents"),
    "/LegacyContent": Answer("LegacyContent", "contents"),
    "/Sinks": Answer("Sink", "sinks"),
    "/Sinks/{Sid}/Test": Answer("SinkTest"),
    "/Sinks/{Sid}/Validate": Answer("SinkValidate"),
    "/Subscriptions": Answer("Subscription", "subscriptions"),
    "/Subscriptions/{SubscriptionSid}/SubscribedEvents": Answer("SubscribedEvent", "types"),
    "/Types": Answer("EventType", "types"),
    "/Schemas": Answer("EventSchema"),
    "/Schemas/{Id}/Versions": Answer("EventSchemaVersion", "schema_versions"),
    "/Schemas/{Id}/Versions/{SchemaVersion}/Raw": Answer("JsonSchema"),
    "/Events": Answer("Events"),
    "/Media": Answer("Media"),
    **{path: Answer(*shown) for path, shown in OF_FLOWS.items()},
}
EVENTS, SSE = "/Events", "text/event-stream"
EXPORT = f"{CONVERSATION}/Export"
CONTENT = "/Media/{Sid}/Content"
ANY = "*/*"

# Changes of these are told when a header asks for it.
TELLING = frozenset({"Conversation", "Message", "Participant", "User", "Channel"})

REFUSALS: Mapping[int, str] = {
    400: "A parameter is missing or wrong.",
    401: "No credentials, or wrong ones.",
    403: "The credentials do not open this, or the account may not.",
    404: "The path, or what a parameter names, leads nowhere.",
    409: "The state of things forbids it.",
    413: "The body is too large.",
    422: "The idempotency key was used with another request.",
    429: "Too many actions in this second; come again after Retry-After seconds.",
    500: "We stumbled; it is in our log.",
    503: "Not now, and nothing happened; come again after Retry-After seconds.",
}
READING = (400, 401, 403, 404, 500, 503)
CHANGING = (*READING, 409, 413, 429)
CREATED = 201

PAGE_META = whole(
    page=NUMBER,
    page_size=NUMBER,
    first_page_url=URL,
    previous_page_url=null(URL),
    url=URL,
    next_page_url=null(URL),
    key=TEXT,
)
ERROR = {
    **whole(code=NUMBER, message=TEXT, more_info=URL, status=NUMBER),
    "properties": {
        "code": NUMBER,
        "message": TEXT,
        "more_info": URL,
        "status": NUMBER,
        "details": OBJECT,
    },
}


def document(versions: Mapping[str, Iterable[Route]]) -> dict[str, Any]:
    """The whole document, of the routes below each version's prefix."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix, routes in versions.items():
        for route in routes:
            operations = paths.setdefault(prefix + route.path, {})
            operations[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley",
            "version": VERSION,
            "description": "A self-hosted twin of Twilio Conversations v1. Parameter names are "
            "taken in any case, and parameters that are not known are ignored.",
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": dict(_schemas()),
            "responses": {f"Refused{status}": _refusal(status) for status in REFUSALS},
        },
    }


def answer_of(path: str) -> Answer | None:
    """What a path of either tree answers; None for what is no resource."""
    collection = path.rpartition("/")[0] if path.endswith("}") else path
    return ANSWERS.get(collection) or ANSWERS.get(collection.removeprefix(SERVICE))


def _operation(route: Route) -> dict[str, Any]:
    run, answer = route.verb.run, answer_of(route.path)
    module = run.__module__.rpartition(".")[2]
    tree = "service." if route.path.startswith(f"{SERVICE}/") else ""
    said = " ".join((run.__doc__ or "").split())
    operation: dict[str, Any] = {
        "operationId": f"{tree}{module}.{run.__name__}",
        "tags": [module],
        "description": said,
        "parameters": [*_segments(route.path), *_headers(route, answer)],
        "responses": {str(route.status): _success(route, answer)},
    }
    declared = route.verb.parameters
    if route.method in ("POST", "PUT"):
        kind = JSON if route.verb.json else FORM
        operation["requestBody"] = _form(declared, kind, files=route.verb.streams)
    else:
        operation["parameters"] += _query(declared, paged=_is_page(route))
    if route.path.endswith(CONTENT):
        operation["responses"]["206"] = operation["responses"]["200"]
        for status, text in ((304, "It is the same."), (416, "It has no such range.")):
            operation["responses"][str(status)] = {"description": text}
    for status in _refusals(route):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
    return operation


def _is_page(route: Route) -> bool:
    return route.verb.run.__name__.startswith("page")


def _refusals(route: Route) -> Sequence[int]:
    if route.method == "GET":
        return (*READING, 429) if route.path == EVENTS else READING
    keyed = route.status == CREATED and not route.verb.streams
    return (*CHANGING, 422) if keyed else CHANGING


def _segments(path: str) -> Iterator[dict[str, Any]]:
    for segment in path.split("/"):
        if segment.startswith("{"):
            name = segment[1:-1]
            yield {"name": name, "in": "path", "required": True, "schema": dict(TEXT)}


def _headers(route: Route, answer: Answer | None) -> Iterator[dict[str, Any]]:
    if route.status == CREATED and not route.verb.streams:
        key = {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX}
        yield {"name": IDEMPOTENCY_KEY, "in": "header", "schema": key}
    if route.method != "GET" and answer is not None and answer.shape in TELLING:
        yield {"name": TOLD, "in": "header", "schema": dict(FLAG)}


def _query(declared: Sequence[Parameter[Any]], *, paged: bool) -> Iterator[dict[str, Any]]:
    for parameter in declared:
        yield {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "schema": _schema(parameter),
        }
    if paged:
        size = {"type": "integer", "minimum": 1, "maximum": PLATFORM_MAX}
        for name, schema in ((PAGE_SIZE, size), (PAGE, dict(NUMBER)), (PAGE_TOKEN, dict(TEXT))):
            yield {"name": name, "in": "query", "schema": schema}


def _form(declared: Sequence[Parameter[Any]], kind: str, *, files: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {parameter.name: _schema(parameter) for parameter in declared},
    }
    required = [parameter.name for parameter in declared if parameter.required]
    if required:
        schema["required"] = required
    content: dict[str, Any] = {kind: {"schema": schema}}
    if files:
        file = {"type": "string", "format": "binary"}
        parts = {**schema["properties"], "File": file}
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": parts}}
        content[ANY] = {"schema": file}
    return {"required": bool(required), "content": content}


def _schema(parameter: Parameter[Any]) -> dict[str, Any]:
    """A parameter's schema; what can be cleared by nothing may be the empty text."""
    schema = dict(parameter.schema)
    if schema.pop("nullable", False):
        return {"anyOf": [schema, {"const": "null"}, {"const": ""}]}
    return schema


def _success(route: Route, answer: Answer | None) -> dict[str, Any]:
    if route.path.endswith(EXPORT):
        content = {kind: {"schema": dict(TEXT)} for kind in FILES}
        return {"description": "The conversation as a file.", "content": content}
    if route.path.endswith(CONTENT):
        return {"description": "The file, or the range of it.", "content": {ANY: {"schema": TEXT}}}
    if answer is None or route.method == "DELETE":
        return {"description": "It is done."}
    name = answer.shape
    if name in (*IN_SERVICE_ONLY, "FoundMessage") and route.path.startswith(SERVICE):
        name = f"Service{name}"
    reference: Schema = {"$ref": f"#/components/schemas/{name}"}
    if _is_page(route):
        page = whole(meta=PAGE_META, **{answer.listed: {"type": "array", "items": reference}})
        return {"description": "A page.", "content": {JSON: {"schema": page}}}
    shown: dict[str, Any] = {JSON: {"schema": reference}}
    if route.path == EVENTS:
        shown[SSE] = {"schema": dict(TEXT)}
    return {"description": "The resource.", "content": shown}


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in (429, 503):
        refusal["headers"] = {"Retry-After": {"required": True, "schema": dict(NUMBER)}}
    return refusal


def _schemas() -> Iterator[tuple[str, Schema]]:
    """Every shape; those that show their service in one tree only are two."""
    found = {**SHAPES["Message"], "highlight": TEXT}
    for name, keys in {
        **SHAPES,
        "FoundMessage": found,
        **SETTINGS,
        **CONTENTS,
        **STREAMS,
        **STUDIO,
    }.items():
        if name not in (*IN_SERVICE_ONLY, "FoundMessage"):
            yield name, whole(**keys)
            continue
        yield f"Service{name}", whole(**keys)
        without = {key: schema for key, schema in keys.items() if key != "chat_service_sid"}
        yield name, whole(**without)
    yield "ChannelMetadata", OBJECT
    yield "JsonSchema", OBJECT
    yield "Error", ERROR

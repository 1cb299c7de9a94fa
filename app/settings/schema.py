"""The JSON Schema of the file, for editors and reviewers: what `parley check-config --schema` says.

It knows what a single value may be; that names exist and secrets can be had, only a check knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import BeforeValidatorFunctionSchema

from app.settings.models import CarrierSettings, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
GIVEN: dict[str, Any] = {
    "description": "A value from outside: text with ${NAME} or ${NAME:-otherwise}, or {file: path},"
    " the path relative to this file.",
    "anyOf": [
        {"type": "string", "pattern": r"\$\{"},
        {
            "type": "object",
            "properties": {"file": {"type": "string", "minLength": 1}},
            "required": ["file"],
            "additionalProperties": False,
        },
    ],
}
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_ABOUT = ("default", "description", "title")
_NULL = {"type": "null"}


class _Generator(GenerateJsonSchema):
    """Pydantic's, but honest about a function that sees a value before its type does: unless it
    says so, nobody knows what it takes."""

    def function_before_schema(self, schema: BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        return (
            super().function_before_schema(schema) if "json_schema_input_schema" in schema else {}
        )


def schema(kinds: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The schema; a carrier must be of one of these kinds and have that kind's own options."""
    whole = Settings.model_json_schema()
    definitions = whole.pop("$defs")
    definitions.pop("CarrierSettings")
    for kind, options in kinds.items():
        definitions.update(_carrier(kind, options))
    names = whole["properties"]["carriers"]["patternProperties"]
    carrier = {"oneOf": [{"$ref": f"#/$defs/carrier.{kind}"} for kind in kinds]} if kinds else False
    whole["properties"]["carriers"]["patternProperties"] = dict.fromkeys(names, carrier)
    for definition in (whole, *definitions.values()):
        _open(definition)
    definitions["Given"] = GIVEN
    return {"$schema": DIALECT, **whole, "title": "Parley", "$defs": definitions}


def _carrier(kind: str, options: type[BaseModel]) -> dict[str, Any]:
    """The definitions for one kind: what every carrier has, its own options, and its name."""
    common = CarrierSettings.model_json_schema()["properties"]
    template = f"#/$defs/carrier.{kind}.{{model}}"
    own = options.model_json_schema(ref_template=template, schema_generator=_Generator)
    inner = own.pop("$defs", {})
    entry = {
        "title": f"A carrier of kind {kind}",
        "description": own.get("description", ""),
        "type": "object",
        "properties": {**common, **own.get("properties", {}), "kind": {"const": kind}},
        "required": ["kind", *own.get("required", ())],
        "additionalProperties": options.model_config.get("extra") == "allow",
    }
    named = {f"carrier.{kind}.{name}": definition for name, definition in inner.items()}
    return {f"carrier.{kind}": entry, **named}


def _open(node: dict[str, Any]) -> None:
    """Allow a value from outside wherever a scalar is asked for, and no value at all for every key
    that may be left out and every entry that may be empty."""
    required = node.get("required", ())
    for name, inner in node.get("properties", {}).items():
        if "const" not in inner:
            node["properties"][name] = _opened(inner, empty=name not in required)
    if isinstance(node.get("items"), dict):
        node["items"] = _opened(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _opened(node["additionalProperties"], empty=True)
    if "patternProperties" in node:
        node["additionalProperties"] = False
        node["patternProperties"] = {
            pattern: _opened(inner) if isinstance(inner, dict) else inner
            for pattern, inner in node["patternProperties"].items()
        }


def _opened(inner: dict[str, Any], *, empty: bool = False) -> dict[str, Any]:
    """One value's schema with the alternatives that it has in a file."""
    about = {key: inner[key] for key in _ABOUT if key in inner}
    rest = {key: value for key, value in inner.items() if key not in _ABOUT}
    branches = list(rest["anyOf"]) if rest.keys() == {"anyOf"} else [rest]
    for branch in branches:
        _open(branch)
    if any(branch.get("type") in _SCALARS for branch in branches):
        branches.append({"$ref": "#/$defs/Given"})
    if empty and _NULL not in branches:
        branches.append(_NULL)
    return {**about, **(branches[0] if len(branches) == 1 else {"anyOf": branches})}

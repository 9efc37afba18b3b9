"""The OpenAPI document as a readable page: routes with their parameters, objects with fields."""

from __future__ import annotations

from typing import Any

from server.pages.docs import DocsPage, FieldView, ParameterView, RouteView, SchemaView

_REFERENCE = "#/components/schemas/"


def docs_page(document: dict[str, Any]) -> DocsPage:
    """`document` is what `/openapi.json` gives."""
    information = document["info"]
    return DocsPage(
        title=information["title"],
        version=information["version"],
        description=information.get("description", ""),
        routes=tuple(
            route_view(path, method, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ),
        schemas=tuple(
            schema_view(name, schema)
            for name, schema in document.get("components", {}).get("schemas", {}).items()
        ),
    )


def route_view(path: str, method: str, operation: dict[str, Any]) -> RouteView:
    """One method of one path."""
    bodies = operation.get("requestBody", {}).get("content", {})
    body = next(iter(bodies.values()), None)
    return RouteView(
        method=method.upper(),
        path=path,
        anchor=operation["operationId"],
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=tuple(
            ParameterView(
                name=parameter["name"],
                place=parameter["in"],
                type=type_of(parameter["schema"])[0],
                required=parameter.get("required", False),
                description=parameter.get("description", ""),
            )
            for parameter in operation.get("parameters", ())
        ),
        body=None if body is None else type_of(body["schema"])[1],
        answers=tuple(
            (status, answer.get("description", ""), _object_of(answer))
            for status, answer in operation.get("responses", {}).items()
        ),
    )


def _object_of(answer: dict[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    return type_of(content["schema"])[1] or "" if content.get("schema") else ""


def schema_view(name: str, schema: dict[str, Any]) -> SchemaView:
    """One object of the JSON with its fields."""
    fields = []
    for key, field in schema.get("properties", {}).items():
        words, anchor = type_of(field)
        fields.append(FieldView(key, words, anchor, field.get("description", "")))
    return SchemaView(name=name, description=schema.get("description", ""), fields=tuple(fields))


def type_of(schema: dict[str, Any]) -> tuple[str, str | None]:
    """A schema in a few words, and the name of the object that it leads to, if any."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return name, name
    if "anyOf" in schema:
        return _joined([type_of(one) for one in schema["anyOf"]], " or ")
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"]), None
    if "const" in schema:
        return str(schema["const"]), None
    if schema.get("type") == "array" and "prefixItems" in schema:
        words, anchor = _joined([type_of(one) for one in schema["prefixItems"]], ", ")
        return f"[{words}]", anchor
    if schema.get("type") == "array":
        words, anchor = type_of(schema.get("items", {}))
        return f"list of {words}", anchor
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        words, anchor = type_of(schema["additionalProperties"])
        return f"object of {words}", anchor
    form = f" ({schema['format']})" if "format" in schema else ""
    return f"{schema.get('type', 'anything')}{form}", None


def _joined(parts: list[tuple[str, str | None]], between: str) -> tuple[str, str | None]:
    words = between.join(dict.fromkeys(words for words, _ in parts))
    return words, next((anchor for _, anchor in parts if anchor), None)

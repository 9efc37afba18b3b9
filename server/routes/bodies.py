"""Bodies of requests that change something: a form or JSON, checked by the same model."""

from __future__ import annotations

import json
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from server import access, error_responses
from server.errors import BadForm, PageError, UnreadableBody

Body = TypeVar("Body", bound=BaseModel)


async def read_body(
    request: Request,
    model: type[Body],
    fault: type[PageError] = BadForm,
    what: str = "This",
) -> Body:
    """What the request's body holds, by its content type; the CSRF token is taken out before.

    Errors: UnreadableBody, and `fault` with the first thing that is wrong; `what` is how the words
    call it ("A label").
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = await request.body()
    try:
        if kind == "application/json":
            given: Any = json.loads(body)
        elif kind == "application/x-www-form-urlencoded":
            given = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))
            given.pop(access.CSRF_FIELD, None)
        else:
            raise UnreadableBody(
                f"{what} is sent as a form or as JSON, not as “{kind[:60] or 'nothing'}”.",
                "Content-Type: application/json",
            )
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number of 5,000 digits
        raise fault("The body that was sent cannot be read.", f"It should be {kind}.") from error
    for name, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, str) and "\0" in value:
            raise fault(f"{str(name)[:60]}: a text holds no NUL.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        placed = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise error_responses.bad_parameters(RequestValidationError(placed), fault) from error


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The body for the OpenAPI document, of a route that has no other use for the model."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    kinds = ("application/json", "application/x-www-form-urlencoded")
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}
    }

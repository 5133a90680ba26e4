"""The schemas of the OpenAPI document."""

from typing import Any

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
NUMBER: Json = {"type": ["number", "null"]}


def record(required: Json, optional: Json | None = None) -> Json:
    """An object of known keys."""
    return {
        "type": "object", "required": list(required), "additionalProperties": False,
        "properties": {**required, **(optional or {})},
    }  # fmt: skip


def several(items: Json, **more: Any) -> Json:
    """A list."""
    return {"type": "array", "items": items, **more}


PARAMETERS: Json = {"type": "object"}
NAMED = record({"label": TEXT, "probability": SHARE})
ANSWERED = record(
    {"path": TEXT, "label": TEXT, "probability": SHARE, "top": several(NAMED, minItems=1)},
    {
        "labels": several(TEXT), "set": several(TEXT), "stranger": {"type": "boolean"},
        "explanation": record({"label": TEXT, "picture": TEXT}),
    },
)  # fmt: skip
UNREADABLE = record({"path": TEXT, "error": TEXT})
SHAPE = several({"type": "integer"})
TENSOR = record({"name": TEXT, "datatype": TEXT, "shape": SHAPE})
GIVEN = record(
    {
        "name": {"enum": ["images", "encoded"]}, "datatype": {"enum": ["UINT8", "BYTES"]},
        "shape": several({"type": "integer", "minimum": 0}, minItems=1, maxItems=4),
    },
    {"parameters": PARAMETERS, "data": {"type": "array"}},
)  # fmt: skip
OUTPUTS = {"enum": ["logits", "probabilities", "labels"]}
SCHEMAS: Json = {
    "Error": record({"error": TEXT}, {"ready": {"type": "boolean"}}),
    "Row": {"anyOf": [ANSWERED, UNREADABLE]},
    "Model": record({
        "name": TEXT, "version": TEXT, "format": TEXT, "class_names": several(TEXT),
        "image_size": {"type": "integer"}, "max_pixels": {"type": "integer"},
        "multi_label": {"type": "boolean"}, "told": several(TEXT),
        "explains": {"type": "boolean"},
    }),
    "Server": record({"name": TEXT, "version": TEXT, "extensions": several(TEXT)}),
    "Live": record({"live": {"type": "boolean"}}),
    "Ready": record({"ready": {"type": "boolean"}}),
    "ModelReady": record({"name": TEXT, "ready": {"type": "boolean"}}),
    "Metadata": record({
        "name": TEXT, "versions": several(TEXT), "platform": TEXT, "inputs": several(TENSOR),
        "outputs": several(TENSOR),
    }),
    "Inference": record(
        {"inputs": several(GIVEN, minItems=1, maxItems=1)},
        {
            "id": TEXT, "parameters": PARAMETERS,
            "outputs": several(record({"name": OUTPUTS}, {"parameters": PARAMETERS}), minItems=1,
                               maxItems=3),
        },
    ),
    "Inferred": record(
        {
            "model_name": TEXT, "model_version": TEXT,
            "outputs": several(record(
                {"name": OUTPUTS, "datatype": TEXT, "shape": SHAPE},
                {"data": {"type": "array", "items": {"anyOf": [NUMBER, TEXT]}},
                 "parameters": PARAMETERS},
            )),
        },
        {"id": TEXT},
    ),
}  # fmt: skip

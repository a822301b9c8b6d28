"""`trialrun schema` prints the schema that jobs are checked by."""

from __future__ import annotations

import json

import jsonschema

from trialrun_hookspecs import json_schema


def test_the_schema_is_alone_on_stdout(called) -> None:
    shown = called("schema")
    assert (shown.exit_code, shown.stderr) == (0, "")
    schema = json.loads(shown.stdout)
    assert schema == json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

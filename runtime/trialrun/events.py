"""The events on the wire: one constructor per kind, and their form as JSON."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path, PurePath
from typing import Any, Literal, cast, get_args

from trialrun.numbers import is_number
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.event import Event, Kind
from trialrun_hookspecs.run import Context

__all__ = [
    "CONTEXTS",
    "IMAGE_LIMIT",
    "KINDS",
    "STATUSES",
    "Event",
    "failure_event",
    "flatten_mapping",
    "from_line",
    "image_data_uri",
    "message_event",
    "metric_event",
    "model_event",
    "nonfinite_name",
    "null_nonfinite",
    "progress_event",
    "require_finite",
    "result_event",
    "resume_event",
    "stamp_event",
    "status_event",
    "to_line",
    "to_log_entry",
    "to_plain",
    "trial_result_event",
    "trials_delta_event",
    "trials_event",
    "visualization_event",
]

KINDS: frozenset[str] = frozenset(get_args(Kind))
CONTEXTS: tuple[str, ...] = get_args(Context)
STATUSES = ("PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED")
IMAGE_LIMIT = 10_000_000
"""The most bytes that an encoded image may have."""

_PIXEL_LIMIT = 10 * IMAGE_LIMIT
_DEPTH_LIMIT = 64
_TRIAL_ID_IN_DATA = frozenset({"metric", "visualization"})
_FIELDS = tuple(field.name for field in fields(Event))
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))  # shared, because every log_* call writes a line
_RESERVED_META = ("category", "group", "index")

Nonfinite = Literal["refuse", "null", "keep"]


def require_finite(value: Any, where: str) -> int | float:
    """Return `value` as a plain number; numpy and other zero-dimensional scalars are accepted.

    Raises BadValue for a bool, a string, NaN, an infinity, or anything else that is not a number.
    """
    number = _unwrap_scalar(value)
    if not is_number(number):
        raise BadValue("must be a number", where=where, got=_describe_value(value), fix="Pass an int or a float.")
    if isinstance(number, int):
        return _check_int_size(number, where)
    if not math.isfinite(number):
        fix = "Skip the report, or log_message() why it diverged."
        raise BadValue("must be finite", where=where, got=nonfinite_name(number), fix=fix)
    return float(number)


def nonfinite_name(value: Any) -> str:
    """Return the name of a float that JSON cannot carry (`nan`, `inf`, `-inf`), and `""` for everything else."""
    if not isinstance(value, float) or math.isfinite(value):
        return ""
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def null_nonfinite(value: Any) -> Any:
    """Return JSON-able data with null in place of every NaN and infinity, tuples as lists."""
    if isinstance(value, dict):
        return {name: null_nonfinite(cell) for name, cell in value.items()}
    if isinstance(value, list | tuple):
        return [null_nonfinite(cell) for cell in value]
    return None if nonfinite_name(value) else value


def to_plain(value: Any, where: str = "value", nonfinite: Nonfinite = "refuse") -> Any:
    """Return `value` as new JSON-able Python: numpy scalars unwrapped, tuples as lists, paths and enums of str as text.

    Text that UTF-8 cannot carry (lone surrogates) becomes backslash escapes. NaN and infinities are refused, replaced
    by None, or kept (then the result is not JSON), as `nonfinite` says.
    Raises BadValue for a value without a JSON form, naming the place inside `value`.
    """
    return _convert_value(value, where, nonfinite, 0)


def flatten_mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return nested mappings as one level, names joined with `/`; later names win, and empty mappings disappear."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update((f"{key}/{inner}", cell) for inner, cell in flatten_mapping(value).items())
        else:
            flat[str(key)] = value
    return flat


def _convert_value(value: Any, where: str, nonfinite: Nonfinite, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _escape_surrogates(value)
    if isinstance(value, int):
        return _check_int_size(value, where)
    if isinstance(value, float):
        return _convert_float(float(value), where, nonfinite)
    if isinstance(value, PurePath):
        return _escape_surrogates(str(value))
    if depth >= _DEPTH_LIMIT:
        raise BadValue(
            "must not be nested this deep", where=_shorten_location(where), got=f"more than {_DEPTH_LIMIT} levels"
        )
    if isinstance(value, Mapping):
        return _convert_mapping(value, where, nonfinite, depth)
    if isinstance(value, list | tuple):
        return [_convert_value(item, f"{where}[{index}]", nonfinite, depth + 1) for index, item in enumerate(value)]
    scalar = _unwrap_scalar(value)
    if scalar is value:
        fix = "Pass numbers, strings, bools, None, or dicts and lists of them (arrays: .tolist())."
        raise BadValue("must be plain data", where=where, got=_describe_value(value), fix=fix)
    return _convert_value(scalar, where, nonfinite, depth + 1)


def _convert_float(value: float, where: str, nonfinite: Nonfinite) -> float | None:
    if nonfinite == "keep" or math.isfinite(value):
        return value
    if nonfinite == "null":
        return None
    raise BadValue("must be finite", where=where, got=nonfinite_name(value), fix="Leave it out, or pass None.")


def _convert_mapping(value: Mapping[Any, Any], where: str, nonfinite: Nonfinite, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        name = _convert_key(key, where)
        if name in made:
            raise BadValue("keys must differ as text", where=where, got=f"{name!r} twice")
        made[name] = _convert_value(item, f"{where}.{name}", nonfinite, depth + 1)
    return made


def _convert_key(key: Any, where: str) -> str:
    name = _unwrap_scalar(key)
    if isinstance(name, str):
        return _escape_surrogates(name)
    if isinstance(name, int) and not isinstance(name, bool):
        return str(_check_int_size(name, where))
    raise BadValue("keys must be strings", where=where, got=_describe_value(key))


def _unwrap_scalar(value: Any) -> Any:
    # numpy scalars, and zero-dimensional arrays and tensors of any library: `shape == ()` and `.item()`
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        item = value.item()
        return item if isinstance(item, bool | int | float | str) else value
    return value


def _check_int_size(value: int, where: str) -> int:
    number = int(value)
    if number.bit_length() > 1023:  # no reader's double can hold it, and Python refuses to print the largest
        raise BadValue("must fit a double", where=where, got=f"an int of {number.bit_length()} bits")
    return number


def _escape_surrogates(value: str) -> str:
    text = str.__str__(value)  # the characters, whatever a subclass (numpy.str_, an enum) prints
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _describe_value(value: Any) -> str:
    kind = type(value).__name__
    if getattr(value, "shape", ()) != ():
        return f"{kind} of shape {tuple(value.shape)} and type {getattr(value, 'dtype', '?')}"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{kind} of {len(value)} bytes, beginning with {bytes(value[:8])!r}"
    shown = repr(value)
    return f"{kind} {shown if len(shown) <= 80 else shown[:77] + '...'}"


def _shorten_location(where: str) -> str:
    return where if len(where) <= 120 else f"...{where[-117:]}"


def _check_name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue("must be a non-blank string", where=where, got=_describe_value(value))
    return _escape_surrogates(value)


def _check_string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadValue("must be a string", where=where, got=_describe_value(value))
    return _escape_surrogates(value)


def _check_choice(value: Any, allowed: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise BadValue(f"must be one of {', '.join(allowed)}", where=where, got=_describe_value(value))
    return _escape_surrogates(value)


def _check_mapping(value: Any, where: str, nonfinite: Nonfinite = "refuse") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadValue("must be a dict", where=where, got=_describe_value(value))
    return cast("dict[str, Any]", to_plain(value, where, nonfinite))


def _nonfinite_flags(metrics: Mapping[str, Any]) -> dict[str, str]:
    scalars = ((str(key), _unwrap_scalar(value)) for key, value in flatten_mapping(metrics).items())
    return {key: name for key, value in scalars if (name := nonfinite_name(value))}


def metric_event(category: str, key: str, value: Any, metrics: Mapping[str, Any] | None = None) -> Event:
    """Return one metric. Raises BadValue for a blank name, a non-finite `value`, or `metrics` without JSON form."""
    name = _check_name(key, "metric key")
    data = {
        "category": _check_name(category, "metric category"),
        "key": name,
        "value": require_finite(value, f"metric {name!r}"),
        "metrics": _check_mapping(metrics or {}, f"metric {name!r}"),
    }
    return Event(kind="metric", data=data)


def visualization_event(
    category: str, group: str, index: int, image: Any, meta: Mapping[str, Any] | None = None
) -> Event:
    """Return an image, given as `image_data_uri` takes it. Raises BadValue as that does."""
    extra = _check_mapping(meta or {}, "visualization meta")
    taken = [name for name in _RESERVED_META if name in extra]
    if taken:
        raise BadValue(f"must not use {', '.join(_RESERVED_META)}", where="visualization meta", got=taken[0])
    position = require_finite(index, "visualization index")
    if not isinstance(position, int):
        raise BadValue("must be an int", where="visualization index", got=_describe_value(index))
    data = {
        "category": _check_name(category, "visualization category"),
        "group": _check_string(group, "visualization group"),
        "index": position,
        **extra,
    }
    return Event(kind="visualization", data=data, file=image_data_uri(image))


def message_event(content: str, context: str = "info") -> Event:
    """Return a message for people; other values than text are converted by `str()`. Raises BadValue for the context."""
    data = {"context": _check_choice(context, CONTEXTS, "message context"), "content": _escape_surrogates(str(content))}
    return Event(kind="message", data=data)


def trials_event(payload: Mapping[str, Any]) -> Event:
    """Return a whole trial table."""
    return Event(kind="trials", data=_check_mapping(payload, "trials"))


def trials_delta_event(payload: Mapping[str, Any]) -> Event:
    """Return the rows of the trial table that changed."""
    return Event(kind="trials_delta", data=_check_mapping(payload, "trials_delta"))


def trial_result_event(trial_id: str, iteration: int, metrics: Mapping[str, Any]) -> Event:
    """Return one report of one trial; NaN and infinities become None, named in `nonfinite` beside the metrics."""
    where = f"trial {trial_id!r}"
    data: dict[str, Any] = {
        "trial_id": _check_name(trial_id, "trial_id"),
        "iteration": require_finite(iteration, f"{where} iteration"),
        "metrics": _check_mapping(metrics, where, "null"),
    }
    if flags := _nonfinite_flags(metrics):
        data["nonfinite"] = flags
    return Event(kind="trial_result", data=data, trial_id=data["trial_id"])


def failure_event(trial_id: str, *, error: str, cause: str, traceback: str, node: str, stderr: str) -> Event:
    """Return the failure of a trial, with the fields of `trialrun_hookspecs.results.TrialFailure`."""
    facts = {"error": error, "cause": cause, "traceback": traceback, "node": node, "stderr": stderr}
    return Event(
        kind="failure",
        data={"trial_id": trial_id, **{name: _escape_surrogates(value) for name, value in facts.items()}},
    )


def resume_event(
    trial_id: str | None, attempt: int, iteration: int, prefix: str, after: tuple[int, int] | None
) -> Event:
    """Return the resume of a trial (None: training) in a new attempt, from the checkpoint of its report `iteration`.

    The new attempt repeats the reports of earlier ones after the event `after` (`<prefix><attempt>-<number>`), or all
    reports when `after` is None.
    """
    data = {"trial_id": trial_id, "attempt": attempt, "iteration": iteration, "prefix": prefix}
    return Event(kind="resumed", data={**data, "after": None if after is None else list(after)})


def progress_event(category: str, current: float, total: float, overall: float, eta_s: float | None) -> Event:
    """Return the progress of a phase (`category`, may be blank) and the job (`overall`, 0..1); `eta_s` in seconds."""
    where = f"progress {category!r}"
    data = {
        "category": _check_string(category, "progress category"),
        "current": require_finite(current, f"{where} current"),
        "total": require_finite(total, f"{where} total"),
        "overall": require_finite(overall, f"{where} overall"),
        "eta_s": None if eta_s is None else require_finite(eta_s, f"{where} eta_s"),
    }
    return Event(kind="progress", data=data)


def status_event(status: str, error: str | None = None) -> Event:
    """Return the job's state on the backend: one of STATUSES; `error` when it failed."""
    data: dict[str, Any] = {"status": _check_choice(status, STATUSES, "job status")}
    if error is not None:
        data["error"] = _escape_surrogates(str(error))
    return Event(kind="status", data=data)


def model_event(model_id: int, trial_id: str | None, name: str) -> Event:
    """Return the registration of a model; `trial_id` is None in training mode."""
    identity = require_finite(model_id, "model id")
    label = None if trial_id is None else _check_name(trial_id, "trial_id")
    return Event(
        kind="model",
        data={"model_id": identity, "trial_id": label, "name": _check_string(name, "model name")},
        trial_id=label,
    )


def result_event(data: Mapping[str, Any]) -> Event:
    """Return the job's result; NaN and infinities in it become None."""
    return Event(kind="result", data=_check_mapping(data, "result", "null"))


def stamp_event(event: Event, *, job_id: int, trial_id: str | None, key: str, seq: int, time: str) -> Event:
    """Return `event` with its time, job, key and trial; a `trial_id` of None keeps the event's own."""
    owner = event.trial_id if trial_id is None else _escape_surrogates(trial_id)
    return replace(event, job_id=job_id, trial_id=owner, key=_escape_surrogates(key), seq=seq, time=time)


def to_line(event: Event) -> str:
    """Return the event as one line of ASCII JSON without the line end; `from_line` gives it back.

    Raises BadValue when `event.data` has no JSON form (that of the constructors always has).
    """
    try:
        record = {name: getattr(event, name) for name in _FIELDS}
        return _ENCODER.encode({**record, "data": dict(event.data)})
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue("must be plain data", where=f"event {event.kind!r}", got=str(error)) from error


def from_line(line: str) -> Event:
    """Return the event that `to_line` wrote. Raises BadValue for an incomplete line or one of another origin."""
    try:
        event = Event(**json.loads(line, parse_constant=_refuse_constant))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue("must be an event", where="event line", got=f"{line[:80]!r} ({error})") from error
    if not _is_well_formed(event):
        raise BadValue("must be an event", where="event line", got=repr(line[:80]))
    return event


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_well_formed(event: Event) -> bool:
    return (
        isinstance(event.kind, str)
        and event.kind in KINDS
        and isinstance(event.data, dict)
        and all(isinstance(text, str) for text in (event.time, event.key))
        and all(isinstance(text, str | None) for text in (event.trial_id, event.file))
        and all(type(number) is int for number in (event.job_id, event.seq))
    )


def to_log_entry(event: Event) -> dict[str, Any]:
    """Return the event in the form of the platform's log API: `event`, `data`, `datetime`, `job`, and `file` if any."""
    data = dict(event.data)
    if event.trial_id is not None and event.kind in _TRIAL_ID_IN_DATA:
        data["trial_id"] = event.trial_id
    entry: dict[str, Any] = {"event": event.kind, "data": data, "datetime": event.time, "job": event.job_id}
    if event.file is not None:
        entry["file"] = event.file
    return entry


def image_data_uri(image: Any) -> str:
    """Return `image` as a base64 data URI of a PNG, JPEG, GIF or WebP of at most IMAGE_LIMIT bytes.

    `image` is a path, the bytes of such a file, an object with the `save` method of a PIL image, or an array
    H×W, H×W×1, H×W×3 or H×W×4 (uint8, bool, or floats in 0..1), which becomes a PNG.
    Raises BadValue for anything else, and when it is empty or too large. SVG is refused: it can contain scripts.
    """
    content = _image_bytes(image)
    if len(content) > IMAGE_LIMIT:
        raise _image_error(f"must have at most {IMAGE_LIMIT} bytes", f"{len(content)} bytes", "Make it smaller.")
    media = _media_type(content)
    if not media:
        raise _image_error("must be a PNG, JPEG, GIF or WebP", _describe_value(image), "Save the figure as PNG.")
    return f"data:image/{media};base64,{base64.b64encode(content).decode()}"


def _image_bytes(image: Any) -> bytes:
    if isinstance(image, str | os.PathLike):
        return _read_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if callable(getattr(image, "save", None)):
        return _save_as_png(image)
    if hasattr(image, "shape") and hasattr(image, "dtype"):
        return _encode_array(image)
    raise _image_error("must be a path, bytes, a PIL image or an array", _describe_value(image))


def _read_image(path: Path) -> bytes:
    named = repr(str(path))[:200]
    try:
        if not path.is_file():  # opening a pipe would block until it has a writer
            raise _image_error("must be a path to a file", named)
        with path.open("rb") as file:
            content = file.read(IMAGE_LIMIT + 1)
    except OSError as error:
        raise _image_error("must be a readable file", f"{named} ({error.strerror})") from error
    if len(content) > IMAGE_LIMIT:
        raise _image_error(f"must have at most {IMAGE_LIMIT} bytes", f"more in {named}", "Make it smaller.")
    if not _media_type(content):
        raise _image_error("must be a PNG, JPEG, GIF or WebP", f"another format in {named}", "Save it as PNG.")
    return content


def _media_type(content: bytes) -> str:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if content.startswith(b"RIFF") and content[8:12] == b"WEBP" else ""


def _save_as_png(image: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        drawable = image.convert("RGB") if getattr(image, "mode", "RGB") not in _PNG_MODES else image
        drawable.save(buffer, format="PNG")
    except (OSError, TypeError, ValueError, AttributeError) as error:
        raise _image_error("must save itself as PNG", f"{type(image).__name__} ({error})") from error
    return buffer.getvalue()


_PNG_MODES = frozenset({"1", "I;16", "L", "LA", "P", "RGB", "RGBA"})
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # channels -> PNG's grey, RGB and RGBA


def _encode_array(image: Any) -> bytes:
    import numpy as np  # imported here, because only callers who pass an array need it

    try:
        array = np.asarray(image)
    except (RuntimeError, TypeError, ValueError) as error:  # tensors on a device or with a gradient
        fix = "Pass a NumPy array (tensors: .detach().cpu().numpy())."
        raise _image_error("must become an array", f"{type(image).__name__} ({error})", fix) from error
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in _COLOR_TYPES or 0 in array.shape:
        fix = "Pass H×W, H×W×1, H×W×3 or H×W×4: channels last."
        raise _image_error("must be an image's shape", _describe_value(image), fix)
    if array.size > _PIXEL_LIMIT:
        raise _image_error(f"must have at most {_PIXEL_LIMIT} values", _describe_value(image), "Make it smaller.")
    height, width, channels = array.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = _to_uint8(array, image).reshape(height, -1)
    return _encode_png(width, height, _COLOR_TYPES[channels], rows.tobytes())


def _to_uint8(array: Any, image: Any) -> Any:
    if array.dtype.kind == "b":
        return array.astype("uint8") * 255
    if array.dtype == "uint8":
        return array
    if array.dtype.kind != "f":
        raise _image_error("must be uint8, or floats in 0..1", _describe_value(image), "Convert with .astype('uint8').")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # written this way, NaN is refused too
        raise _image_error("must be floats in 0..1", f"values from {low:g} to {high:g}", "Scale it, or pass uint8.")
    return (array.astype("float64") * 255.0 + 0.5).astype("uint8")


def _encode_png(width: int, height: int, colour_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_encode_chunk(name, body) for name, body in chunks)


def _encode_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _image_error(rule: str, got: str, fix: str = "") -> BadValue:
    return BadValue(rule, where="image", got=got, fix=fix)

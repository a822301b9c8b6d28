"""One run of a plugin, described as a value that a child process receives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from trialrun.recorder.faults import Fault, FaultKind

__all__ = ["Fault", "FaultKind", "Kind", "Scenario"]

Kind = Literal["load", "train", "tune", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run of a plugin in a child process.

    load: import the plugin and describe it. train, tune: a whole job on the engine. probe: call `probe`, a function of
    trialrun as `module:function`, with the plugin and this scenario; `Observation.probe_answer` is its result as JSON.

    `checkpoint` is the path of an artifact to resume from. `dataset` holds rows, a path, or the name of a dataset that
    a plugin offers; None is the small built-in one. `interrupt_at` and `raise_at` make the n-th call of `run` (from 1,
    all methods counted) raise KeyboardInterrupt, or the built-in exception of that name. `extra` holds additional
    keyword arguments of the hook. `disk` limits the size in bytes of each file that is written while the hook runs; a
    write beyond it fails with EFBIG. `environment` is set before the plugin is loaded. `options` steer probes and
    injected faults.
    """

    kind: Kind
    plugin: str
    hyperparameter: Mapping[str, Any] = field(default_factory=dict)
    space: Sequence[Mapping[str, Any]] = ()
    tune_config: Mapping[str, Any] = field(default_factory=dict)
    dataset: Any = None
    checkpoint: str | None = None
    seed: int = 7
    name: str = "conformance"
    executor: Literal["inline", "ray"] = "inline"
    address: str | None = None
    faults: tuple[Fault, ...] = ()
    interrupt_at: int | None = None
    raise_at: tuple[int, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    disk: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    num_cpus: float | None = None
    num_gpus: float | None = None
    probe: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 20.0

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        data = json.loads(text)
        data["faults"] = tuple(Fault(**fault) for fault in data["faults"])
        data["space"] = tuple(data["space"])
        data["raise_at"] = tuple(data["raise_at"]) if data["raise_at"] else None
        return cls(**data)

    @property
    def cache_key(self) -> str:
        """A digest that is equal for equal scenarios; the time limit does not count."""
        data = {**asdict(self), "timeout_s": 0}
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:20]

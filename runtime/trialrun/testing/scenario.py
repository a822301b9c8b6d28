"""The scenario: what a plugin is to be put through, as a value that travels to a child process."""

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

    load: import it and look. train, tune: a whole job on the engine. probe: `probe` names a function of ours as
    `module:function`, called in the child with the plugin and this scenario; what it returns (JSON) is `Scene.answer`.

    `checkpoint` is the path of an artifact to resume from. `dataset` is what the recorder serves: rows, a path, or the
    name of a dataset that a plugin offers; None is the small one that is built in. `interrupt_at` and `raise_at` make
    the n-th call of `run` (from 1, all methods counted) raise KeyboardInterrupt, or the built-in exception of that
    name. `extra` are keyword arguments that the hook gets besides. `disk` limits the size of any one file that is
    written while the hook runs, in bytes; a write beyond it fails with ENOSPC's sibling EFBIG. `environment` is set
    before the plugin is loaded. `options` are for probes.
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
        """The same for the same scenario."""
        data = {**asdict(self), "timeout_s": 0}
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:20]

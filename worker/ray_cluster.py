"""The Ray cluster that actors run in: joined by RAY_ADDRESS, or started on this machine.

Ray is optional (`pip install '.[ray]'`): nothing else imports this module before it is asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from worker.engine import EngineError
from worker.errors import DeviceError, UsageError

_STORE_BYTES = 512 << 20  # of a Ray that is started here: a few tasks and results


def cluster(workers: int | None = None) -> dict[str, float]:
    """Join the cluster of RAY_ADDRESS, or start Ray on this machine; its resources.

    A Ray that is started here gets `workers` places, and ends with this process. `UsageError`
    where Ray is not installed, `EngineError` where the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed",
            "pip install '.[ray]', or leave --engine ray out",
        ) from error
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = (
            {"address": address}
            if address
            else {
                "num_cpus": workers,
                "object_store_memory": _STORE_BYTES,
            }
        )
        for more_tries in (1, 0):
            try:
                ray.init(
                    include_dashboard=None if address else False,
                    configure_logging=True,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    **options,
                )
                break
            except Exception as error:
                ray.shutdown()
                if address or not more_tries:  # a busy machine is slow to start it
                    raise EngineError(
                        f"Ray at {address or 'this machine'} cannot be used: {error}",
                        "see that the cluster runs (ray status), or unset RAY_ADDRESS",
                    ) from error
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def leave() -> None:
    """Disconnect; a Ray that was started by `cluster` ends."""
    with suppress(ImportError):
        import ray

        if ray.is_initialized():
            ray.shutdown()


def resolve_cluster_device(name: str, resources: Mapping[str, float]) -> torch.device:
    """What an actor runs on: `auto` is a GPU where the cluster has one. `DeviceError` otherwise.

    The coordinator may stand on a machine without a GPU; which GPU an actor gets is Ray's choice.
    """
    has_gpu = resources.get("GPU", 0) >= 1
    if name == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    if name == "cpu" or (name == "cuda" and has_gpu):
        return torch.device(name)
    raise DeviceError(
        f"device {name!r} is not in the Ray cluster",
        f"use one of: auto, cpu{', cuda' if has_gpu else ''}",
    )


def default_actors(device: str, resources: Mapping[str, float]) -> int:
    """An actor per GPU, or per core, of the whole cluster."""
    return max(1, int(resources.get("GPU" if device.startswith("cuda") else "CPU", 1)))

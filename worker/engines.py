"""Which engine runs the jobs, where, and with how many workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from worker.engine import Engine, InProcess
from worker.engine_local import Processes
from worker.fork_server import default_workers
from worker.models import resolve_device
from worker.pairs import Version

#: Processes of this machine, or actors of a Ray cluster.
EngineName = Literal["local", "ray"]


def places(name: EngineName, device: str, workers: int | None) -> tuple[torch.device, int]:
    """The device, and how many workers there are when none are asked for: one a core, one for a
    GPU; with Ray, one for each of the cluster's.

    Raises `DeviceError` for a device that is not there, `UsageError` where Ray is not installed.
    """
    if name == "ray":
        from worker.ray_cluster import cluster, default_actors, resolve_cluster_device

        resources = cluster(workers)
        target = resolve_cluster_device(device, resources)
        return target, workers or default_actors(target.type, resources)
    target = resolve_device(device)
    return target, (workers or default_workers()) if target.type == "cpu" else 1


def make_engine(
    name: EngineName, versions: Mapping[str, Version], device: str, workers: int
) -> Engine:
    """Ray's actors, processes on the cores, or this process where there is one worker."""
    if name == "ray":
        from worker.engine_ray import RayActors

        return RayActors(versions, device, workers)
    if workers == 1:
        return InProcess(versions, device)
    return Processes(versions, device, workers)

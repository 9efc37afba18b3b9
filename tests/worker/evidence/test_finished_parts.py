"""A finished part is what was written, or is computed again."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker.evidence.finished_parts import FinishedParts

PART = [(np.arange(50.0), "left", 3, {"a": 1})]


def anew() -> Any:
    return "anew"


def kept(directory: Path, key: str = "k" * 64) -> Path:
    """The file of a finished part."""
    FinishedParts(directory, key, resume=True).get("effects", lambda: PART)
    return directory / "effects.pickle"


def test_it_is_used_again_under_its_key_alone(tmp_path: Path) -> None:
    kept(tmp_path)
    again = FinishedParts(tmp_path, "k" * 64, resume=True).get("effects", anew)
    assert repr(again) == repr(PART)
    for other in ("k" * 63, "k" * 65, "j" * 64):
        assert FinishedParts(tmp_path, other, resume=True).get("effects", anew) == "anew"
        kept(tmp_path)
    assert FinishedParts(tmp_path, "k" * 64, resume=False).get("effects", anew) == "anew"


def test_one_bit_is_enough_to_compute_it_again(tmp_path: Path) -> None:
    path = kept(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        said: list[str] = []
        parts = FinishedParts(tmp_path, "k" * 64, resume=True, note=said.append)
        assert parts.get("effects", anew) == "anew"
        assert said == ["effects.pickle is damaged: it is computed again."]


@pytest.mark.parametrize("left", [0, 10, 40, -1])
def test_a_part_that_lost_its_end_is_computed_again(tmp_path: Path, left: int) -> None:
    path = kept(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    said: list[str] = []
    parts = FinishedParts(tmp_path, "k" * 64, resume=True, note=said.append)
    assert parts.get("effects", anew) == "anew"
    assert said == ["effects.pickle is damaged: it is computed again."]
    assert parts.get("effects", lambda: PART) == "anew"


def test_classes_of_another_version_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)

    def moved(_: bytes) -> Any:
        raise ModuleNotFoundError("No module named 'worker.evidence.moved'")

    monkeypatch.setattr(pickle, "loads", moved)
    said: list[str] = []
    parts = FinishedParts(tmp_path, "k" * 64, resume=True, note=said.append)
    assert parts.get("effects", anew) == "anew"
    assert said == ["effects.pickle is of another version: it is computed again."]

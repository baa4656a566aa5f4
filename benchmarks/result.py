"""A run's result, as it is kept in JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.errors import BenchError
from benchmarks.figures import Samples
from benchmarks.forms import Form


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run.

    Attributes:
        form: how much was measured.
        date: when.
        seconds: how long it took.
        machine: what figures depend on.
        notes: what to know beside that.
        settings: how each system was set up, by its own word.
        samples: all figures.
    """

    form: Form
    date: str
    seconds: float
    machine: dict[str, str]
    notes: list[str]
    settings: dict[str, list[str]]
    samples: Samples

    def write(self, path: Path) -> None:
        """Keep it.

        Raises:
            BenchError: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        except OSError as failed:
            raise BenchError(f"cannot write {path}: {failed.strerror}") from failed

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Read what was kept.

        Raises:
            BenchError: it cannot be read, or is something else.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            form = fields.pop("form")
            return cls(form=Form(**form | {name: tuple(form[name]) for name in ("open", "others")}), **fields)
        except OSError as failed:
            raise BenchError(f"cannot read {path}: {failed.strerror}") from failed
        except (AttributeError, KeyError, TypeError, ValueError) as failed:
            raise BenchError(f"{path} is no result of this version of the benchmark") from failed

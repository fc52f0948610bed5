"""What the demo tells while it goes: a line for each step, lines below it as it moves on, and a table at the end."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_TITLE_WIDTH = 52


@dataclass
class Step:
    """One step of the story. `result` is what came of it, in a few words."""

    title: str
    result: str = ""
    took_s: float = 0.0
    started_s: float = field(default_factory=time.monotonic)

    def tell(self, text: str) -> None:
        """Say something while the step goes on."""
        print(f"     {time.monotonic() - self.started_s:5.1f} s  {text}", flush=True)

    def show(self, line: str) -> None:
        """Put a line of a table below the step."""
        print(f"{'':5}{line}", flush=True)


class Story:
    """The steps so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Tell a step as it begins, and what came of it as it ends."""
        step = Step(title)
        print(f"{len(self.steps) + 1:2}. {title}", flush=True)
        yield step
        step.took_s = time.monotonic() - step.started_s
        step.tell(step.result)
        self.steps.append(step)

    def table(self) -> str:
        """What was done, what came of it, and how long each step took."""
        width = max(len(step.result) for step in self.steps)
        rule = f"{'-' * 2}  {'-' * _TITLE_WIDTH}  {'-' * width}  {'-' * 7}"
        lines = [f"{'#':>2}  {'step':{_TITLE_WIDTH}}  {'result':{width}}  {'time':>7}", rule]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{number:2}  {step.title:{_TITLE_WIDTH}}  {step.result:{width}}  {step.took_s:5.1f} s")
        total_s = sum(step.took_s for step in self.steps)
        return "\n".join([*lines, rule, f"{'':2}  {'all':{_TITLE_WIDTH}}  {'':{width}}  {total_s:5.1f} s"])

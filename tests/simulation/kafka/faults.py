"""Faults at port calls: every call, and every produced batch, passes one interceptor.

The interceptor is called twice: before anything is done, and after it was done but before the answer is returned. It
may change the cluster, and it may raise:

* `AnswerLost`: the request (before) or its answer (after) is lost. The port tries again, as the real one does.
* `BrokerUnavailableError`: the port gives up, as after its deadline. Raised afterwards, the call has had its effect.
* `Crashed`, or any other `BaseException`: the process dies there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tasks.model.errors import BrokerUnavailableError
from tests.support.faults import Crashed


class Step(NamedTuple):
    """A call at its beginning, or at its end when `has_happened`.

    `call` is the port and the method (`reader.list_offsets`, `fetcher.receive`, `admin.create_topics`), or `batch.land`
    for a batch that reaches its leader; `subject` names what it is about.
    """

    call: str
    subject: str
    has_happened: bool

    def __str__(self) -> str:
        return f"{'after' if self.has_happened else 'before'} {self.call} {self.subject}".rstrip()


Interceptor = Callable[[Step], None]


class AnswerLost(Exception):
    """The request, or the answer to it, is lost on the way."""


def pass_through(step: Step) -> None:
    """The interceptor that does nothing."""


@dataclass(slots=True)
class _Armed:
    call: str
    has_happened: bool
    skip: int
    times: int
    action: Callable[[], object]

    def is_due(self, step: Step) -> bool:
        """True if it strikes at this step; a step that it skips is counted."""
        if self.times <= 0 or (self.call, self.has_happened) != (step.call, step.has_happened):
            return False
        self.skip -= 1
        return self.skip < 0


class Faults:
    """An interceptor with faults armed by call. Each hits `times` steps after the next `skip` steps of that call.

    Of several that are due at one step those armed first strike first; those after one that raises wait.

    `steps` are all steps so far, so that a failing history can print what happened. After a crash every step raises
    `Crashed`, until `revive`.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._armed: list[_Armed] = []
        self._crash_at: int | None = None
        self._is_crashed = False

    def __call__(self, step: Step) -> None:
        self.steps.append(step)
        if self._is_crashed or len(self.steps) == self._crash_at:
            self._crash()
        for armed in [armed for armed in self._armed if armed.is_due(step)]:
            armed.times -= 1
            armed.action()

    def before(self, call: str, action: Callable[[], object], *, skip: int = 0, times: int = 1) -> None:
        """Run the action, which may raise, before the call does anything."""
        self._armed.append(_Armed(call, False, skip, times, action))

    def after(self, call: str, action: Callable[[], object], *, skip: int = 0, times: int = 1) -> None:
        """Run the action, which may raise, after the call had its effect and before it returns."""
        self._armed.append(_Armed(call, True, skip, times, action))

    def lose_request(self, call: str, *, skip: int = 0, times: int = 1) -> None:
        """The request never arrives."""
        self.before(call, _lose, skip=skip, times=times)

    def lose_answer(self, call: str, *, skip: int = 0, times: int = 1) -> None:
        """The request is carried out and its answer never arrives."""
        self.after(call, _lose, skip=skip, times=times)

    def give_up(self, call: str, *, skip: int = 0, times: int = 1) -> None:
        """The call ends as if its deadline had passed; nothing was done."""
        self.before(call, _give_up, skip=skip, times=times)

    def crash(self, call: str, *, after: bool, skip: int = 0) -> None:
        """The process dies at this call, before or after its effect."""
        (self.after if after else self.before)(call, self._crash, skip=skip)

    def crash_at(self, step: int) -> None:
        """The process dies at the step with this number; the first is 1."""
        self._crash_at = step

    def revive(self) -> None:
        """Another process goes on: steps pass again, and nothing is armed any more."""
        self._is_crashed = False
        self._crash_at = None
        self._armed.clear()

    def _crash(self) -> None:
        self._is_crashed = True
        raise Crashed(f"crashed {self.steps[-1]}")


def _lose() -> None:
    raise AnswerLost("armed fault: the answer was lost")


def _give_up() -> None:
    raise BrokerUnavailableError("armed fault: no broker answered before the deadline")

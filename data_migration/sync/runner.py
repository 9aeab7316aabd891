"""Plans -> runs of syncs, one for each account: all pulls, then all pushes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.utils import timezone

from .. import signals
from ..exceptions import RunRefused, Transient
from ..ledger import Ledger, NewStep
from ..ledger.lanes import connector_lane
from ..ledger.outgoing import Accounts, outgoing
from ..ledger.run_words import time_of
from ..models import Run, RunStep
from ..options import RunOptions
from ..outcomes import Action, Mode, OutgoingState, RunKind, RunStatus
from ..plan.graph import Plan as Steps
from ..progress import Progress
from ..run.ending import problems_of
from ..run.runner import Runner, filled_by
from ..step.recording import what_is_kept
from ..utils.redaction import redact
from ..utils.sessions import writing
from . import accounts
from .compiled import steps
from .connector import Connector
from .definition import Definition
from .discovery import Syncs
from .options import SyncOptions
from .pulling import pulling
from .push import PushDiff, PushStep
from .words import PULL, PUSH, SYNC


@dataclass(frozen=True, slots=True)
class AccountRun:
    """What became of one account: its run, the steps of it, what ended it early.

    ``diffs`` are what a rehearsal would have sent, a few of each mapping.
    """

    account: str
    run: Run
    steps: Sequence[RunStep]
    error: BaseException | None
    diffs: Sequence[PushDiff] = ()

    def problems(self) -> list[str]:
        """Each sentence that says what went wrong, once, in order."""
        return problems_of(self.steps, self.error)


@dataclass(frozen=True, slots=True)
class SyncRun:
    """What was asked for at once: a run for each account."""

    runs: Sequence[AccountRun] = field(default_factory=list)

    @property
    def run(self) -> Run | None:
        """The run of the only account; None where there are several."""
        return self.runs[0].run if len(self.runs) == 1 else None

    @property
    def error(self) -> BaseException | None:
        return next((each.error for each in self.runs if each.error is not None), None)

    @property
    def steps(self) -> list[RunStep]:
        return [step for each in self.runs for step in each.steps]

    def problems(self) -> list[str]:
        return [problem for each in self.runs for problem in each.problems()]


def run_sync(
    syncs: Syncs,
    options: SyncOptions,
    *,
    progress: Progress | None = None,
    queued: Run | None = None,
    connect: Callable[[str], Connector] = accounts.connect,
) -> SyncRun:
    """Run what is chosen, account by account, and record what happened.

    ``queued`` is the run of the only account, recorded when it was asked for. Raises
    :exc:`RunRefused` where a run cannot begin, and what is no error, Ctrl-C among it, when it was
    recorded.
    """
    found: list[AccountRun] = []
    for account in syncs.connectors:
        done = _run_account(
            account, syncs, options, progress=progress, queued=queued, connect=connect
        )
        found.append(done)
        if not (done.error is None or isinstance(done.error, Exception)):
            raise done.error
    return SyncRun(found)


def _run_account(
    account: str,
    syncs: Syncs,
    options: SyncOptions,
    *,
    progress: Progress | None,
    queued: Run | None,
    connect: Callable[[str], Connector],
) -> AccountRun:
    is_rehearsal = options.mode == Mode.REHEARSAL
    if wait := Accounts(options.database).waits(account):
        raise RunRefused(
            f"The connector {account} may go on at {time_of(wait.until)}:"
            f" {wait.reason.rstrip('.')}. Until then it is not called."
        )
    ledger = Ledger(options.database, connector_lane(account))
    with accounts.nothing_sent() if is_rehearsal else nullcontext():
        connector = connect(account)
        if is_rehearsal:
            connector.refuse_writes()
        try:
            pulls = _wanted(options, PULL)
            plan = Steps(tuple(steps(connector, account, syncs, options.settle) if pulls else ()))
            pushes = [
                each
                for each in syncs.of(account)
                if each.pushes
                and (_wanted(options, PUSH) or _waits_for_answers(each, options.database))
            ]
            labels = [*(step.label for step in plan), *(each.push_label for each in pushes)]
            run = ledger.start_run(
                [NewStep(label) for label in labels],
                kind=RunKind.SYNC,
                mode=options.mode,
                options=options.recorded(),
                queued=queued,
                fills=filled_by(plan),
            )
            runner = SyncRunner(
                run,
                plan,
                options.of_pull,
                ledger,
                progress or Progress(),
                account=account,
                pushes=pushes,
                connector=connector,
                syncs=syncs,
                asked=options,
            )
            with writing(options.database):
                done = runner.execute()
        finally:
            connector.close()
    return AccountRun(account, run, runner.steps, done.error, runner.diffs)


def _waits_for_answers(definition: Definition, database: str) -> bool:
    """Whether rows may have been created over there of which nobody knows."""
    sent = outgoing(definition.label, database=database).filter(
        state=OutgoingState.SENT, action=Action.CREATE
    )
    return bool(sent.exists())


def _wanted(options: SyncOptions, direction: str) -> bool:
    return options.direction in (direction, SYNC)


class SyncRunner(Runner):
    """Executes one run of one account: pulls are imports, and pushes come after them."""

    def __init__(
        self,
        run: Run,
        plan: Steps,
        options: RunOptions,
        ledger: Ledger,
        progress: Progress,
        *,
        account: str,
        pushes: Sequence[Definition],
        connector: Connector,
        syncs: Syncs,
        asked: SyncOptions,
    ) -> None:
        super().__init__(run, plan, options, ledger, progress, whole=plan)
        self.diffs: list[PushDiff] = []
        self._account, self._pushes = account, pushes
        self._connector, self._syncs = connector, syncs
        self._asked = replace(asked, should_stop=self.options.should_stop)

    def _work(self) -> None:
        pushes = list(zip(self._pushes, self.steps[len(self.plan) :], strict=True))
        recovered = {each.label: self._recover(each, step) for each, step in pushes}
        if self._not_done:
            return  # what is there already would be pulled as if it were new
        with pulling():
            super()._work()
        made = [
            self._push(definition, step, recovered[definition.label])
            for definition, step in pushes
        ]
        for push in reversed([each for each in made if each is not None]):
            self.diffs += push.delete_gone()

    def _recover(self, definition: Definition, step: RunStep) -> set[str]:
        """The objects of which it is known by now whether they were created over there."""
        with self._step_recorded(step):
            self.ledger.start_step(step)
            return self._push_step(definition, step).recover()
        return set()

    def _push(
        self, definition: Definition, step: RunStep, recovered: Collection[str]
    ) -> PushStep | None:
        """What was pushed; None where the mapping is only pulled this time."""
        if self._asked.direction == PULL:
            is_partial = step.failed or self.ledger.messages_for(step).not_met
            status = RunStatus.PARTIAL if is_partial else RunStatus.DONE
            with self.ledger.committing(step):
                self.ledger.finish_step(step, status)
            return None
        if definition.label in self._not_done:
            why = (
                f"{step.label} was not pushed, because its pull did not come to an end: what was"
                " changed over there is not known."
            )
            self.ledger.finish_step(step, RunStatus.PENDING, why)
            if self.options.mode == Mode.COMMIT:
                self.ledger.save_step(step)
            return None
        signals.step_started.send(Run, run=self.run, step=step)
        try:
            with self._step_recorded(step):
                push = self._push_step(definition, step, recovered)
                self.diffs += push.run()
                return push
            return None
        finally:
            signals.step_finished.send(Run, run=self.run, step=step)

    def _end_of(self, step: RunStep, error: BaseException) -> tuple[RunStatus, str]:
        """A system that cannot be called for now has not failed: the next run goes on."""
        if not isinstance(error, Transient):
            return super()._end_of(step, error)
        until = ""
        if error.retry_after:
            moment = timezone.now() + timedelta(seconds=error.retry_after)
            Accounts(self.options.database).wait(self._account, moment, str(error))
            until = f" It may go on at {time_of(moment)}."
        why = str(error).rstrip(".")
        text = f"{step.label} was broken off: {why}.{until} {what_is_kept(step)}"
        return RunStatus.PARTIAL, redact(text)

    def _push_step(
        self, definition: Definition, step: RunStep, recovered: Collection[str] = ()
    ) -> PushStep:
        """A new one each time: what is pulled changes what it read when it was made."""
        return PushStep(
            definition,
            self._connector,
            self.ledger,
            step,
            self._asked,
            self._syncs,
            self.progress,
            recovered,
        )

"""What a person asks of patches with a button: an action, the patches, the options."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..models import Run
from ..options import LARGEST, MaxErrors
from ..outcomes import Mode, OnError
from ..patches.definition import step_label
from ..patches.options import PatchOptions
from ..undo import Selection
from .base import FAKE_PATCH, ROLL_BACK, RUN_PATCH
from .intents import FAILED_ROW, OptionsForm


class PatchAction(TextChoices):
    REHEARSE = "rehearse", _("Rehearse")
    RUN = "run", pgettext_lazy("action", "Run")
    RETRY = "retry", _("Retry failed objects")
    FAKE = "fake", _("Record as done")
    ROLL_BACK = "rollback", _("Roll back")

    @property
    def permission(self) -> str:
        return {PatchAction.FAKE: FAKE_PATCH, PatchAction.ROLL_BACK: ROLL_BACK}.get(
            self, RUN_PATCH
        )

    @property
    def needs_a_choice(self) -> bool:
        """Whether it is for patches that are ticked, and never for all."""
        return self in (PatchAction.FAKE, PatchAction.ROLL_BACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchIntent:
    """``labels`` are apps and patches, all that are due without one. ``force`` runs done ones
    again; of a rollback it undoes also what people changed.
    """

    action: PatchAction
    labels: tuple[str, ...] = ()
    limit: int | None = None
    on_error: OnError = OnError.STOP
    max_errors: MaxErrors | None = None
    skip_failing: bool = False
    force: bool = False
    reason: str = ""

    @classmethod
    def like(cls, run: Run) -> PatchIntent:
        """What would start another run with the same patches and options."""
        options = PatchOptions.from_recorded(
            run.options, mode=run.mode, database=run._state.db or "default"
        )
        action = PatchAction.RETRY if options.retry_failed else PatchAction.RUN
        return cls(
            action=PatchAction.REHEARSE if run.is_dry else action,
            labels=(*options.labels, *options.force),
            limit=options.limit,
            on_error=options.on_error,
            max_errors=options.max_errors,
            skip_failing=options.skip_failing,
            force=bool(options.force),
        )

    def run_options(self, database: str) -> PatchOptions:
        """The options of the run; not for a rollback, nor for what is not run at all."""
        return PatchOptions(
            mode=Mode.REHEARSAL if self.action == PatchAction.REHEARSE else Mode.COMMIT,
            database=database,
            labels=() if self.force else self.labels,
            force=self.labels if self.force else (),
            on_error=self.on_error,
            max_errors=self.max_errors,
            limit=self.limit,
            retry_failed=self.action == PatchAction.RETRY,
            skip_failing=self.skip_failing,
        )

    @property
    def selection(self) -> Selection:
        """What a rollback undoes."""
        return Selection(labels=tuple(map(step_label, self.labels)))

    @property
    def fields(self) -> Iterator[tuple[str, Any]]:
        """The form's fields that ask for the same; without the reason, which the page in between
        asks for.
        """
        yield "action", self.action.value
        yield from (("label", label) for label in self.labels)
        yield "on_error", self.on_error.value
        for name in ("limit", "max_errors"):
            if (value := getattr(self, name)) is not None:
                yield name, value
        yield from ((name, "on") for name in ("skip_failing", "force") if getattr(self, name))

    @property
    def command(self) -> str:
        """The same on the command line."""
        if self.action == PatchAction.ROLL_BACK:
            words = ["rollback_legacy", *self.selection.labels, *(["--force"] * self.force)]
            return shlex.join(["manage.py", *words])
        words = ["run_patches"]
        if self.action == PatchAction.FAKE:
            for label in self.labels:
                words += ["--fake", label]
            return shlex.join(["manage.py", *words, "--reason", self.reason or "…"])
        if self.force:
            for label in self.labels:
                words += ["--force", label]
        else:
            words += self.labels
        words += ["--retry-failed"] if self.action == PatchAction.RETRY else []
        words += ["--limit", str(self.limit)] if self.limit else []
        if self.max_errors:
            words += ["--max-errors", str(self.max_errors)]
        elif self.on_error == OnError.CONTINUE:
            words += ["--on-error", self.on_error.value]
        words += ["--skip-failing"] if self.skip_failing else []
        words += [] if self.action == PatchAction.REHEARSE else ["--commit"]
        return shlex.join(["manage.py", *words])


class PatchIntentForm(OptionsForm):
    """Reads a :class:`PatchIntent`; labels are judged later, against the patches there are."""

    action = forms.ChoiceField(choices=PatchAction.choices)
    limit = forms.IntegerField(
        label=_("Limit"),
        help_text=_("Only so many objects of each patch"),
        min_value=1,
        max_value=LARGEST,
        required=False,
    )
    on_error = forms.ChoiceField(
        label=_("A failed object"),
        choices=[("", _("stops a run, not a rehearsal or a retry")), *FAILED_ROW.items()],
        required=False,
    )
    skip_failing = forms.BooleanField(
        label=_("Go on past failing patches"),
        help_text=_("Not past critical ones, nor to what depends on them"),
        required=False,
    )
    force = forms.BooleanField(required=False)
    reason = forms.CharField(
        label=_("Why it counts as done"),
        help_text=_("Kept with your name, and shown wherever the patch is"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "required": True}),
    )
    app = forms.CharField(required=False)
    state = forms.CharField(required=False)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        action = data.get("action")
        if action and PatchAction(action).needs_a_choice and not self.listed("label"):
            self.add_error("action", _("Nothing was ticked: tick the patches that this is for."))
        return data

    @property
    def labels(self) -> tuple[str, ...]:
        """The apps and patches that were ticked."""
        return self.listed("label")

    @property
    def _usual_on_error(self) -> OnError:
        """A rehearsal is for the whole list of what fails, and one failure that is on record
        already, and not mended yet, must not keep the others.
        """
        goes_on = self.cleaned_data["action"] in (PatchAction.REHEARSE, PatchAction.RETRY)
        return OnError.CONTINUE if goes_on or self.cleaned_data["max_errors"] else OnError.STOP

    @property
    def intent(self) -> PatchIntent:
        """What a valid form asks for."""
        data: dict[str, Any] = self.cleaned_data
        return PatchIntent(
            action=PatchAction(data["action"]),
            labels=self.labels,
            limit=data["limit"],
            on_error=self.chosen_on_error if data["on_error"] else self._usual_on_error,
            max_errors=data["max_errors"],
            skip_failing=data["skip_failing"],
            force=data["force"],
            reason=data["reason"].strip(),
        )

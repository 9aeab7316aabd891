"""What a person asks for with a button: an action, the migrations, the options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..exceptions import SpecError
from ..options import LARGEST, MaxErrors, RunOptions
from ..outcomes import Mode, OnError
from ..undo import Selection
from .base import ROLL_BACK, START, number_in


class Action(TextChoices):
    REHEARSE = "rehearse", _("Rehearse")
    RUN = "run", pgettext_lazy("action", "Run")
    UPDATE = "update", _("Update")
    RETRY = "retry", _("Retry failed rows")
    ROLL_BACK = "rollback", _("Roll back")

    @property
    def permission(self) -> str:
        return ROLL_BACK if self is Action.ROLL_BACK else START


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """``labels`` are apps and migrations, all without one. ``run`` is what a rollback undoes,
    ``failures`` the messages whose rows are to be retried; each means everything where empty.
    """

    action: Action
    labels: tuple[str, ...] = ()
    limit: int | None = None
    on_error: OnError = OnError.STOP
    max_errors: MaxErrors | None = None
    atomic: bool = False
    force: bool = False
    run: int | None = None
    failures: tuple[int, ...] = ()

    @property
    def mode(self) -> Mode:
        if self.action == Action.ROLL_BACK:
            return Mode.ROLLBACK
        if self.action == Action.REHEARSE:
            return Mode.REHEARSAL
        return Mode.ATOMIC if self.atomic else Mode.COMMIT

    def run_options(self, database: str) -> RunOptions:
        """The options of the run; not for a rollback."""
        return RunOptions(
            mode=self.mode,
            database=database,
            labels=self.labels,
            on_error=self.on_error,
            max_errors=self.max_errors,
            limit=self.limit,
            update=self.action == Action.UPDATE,
            retry_failed=self.action == Action.RETRY,
            failures=self.failures,
        )

    @property
    def selection(self) -> Selection:
        """What a rollback undoes."""
        return Selection(labels=self.labels, run=self.run)

    @property
    def fields(self) -> Iterator[tuple[str, Any]]:
        """The form's fields that ask for the same, for a page in between."""
        yield "action", self.action.value
        yield from (("label", label) for label in self.labels)
        yield "on_error", self.on_error.value
        for name in ("limit", "max_errors", "run"):
            if (value := getattr(self, name)) is not None:
                yield name, value
        yield from ((name, "on") for name in ("atomic", "force") if getattr(self, name))
        if self.failures:  # in one field: Django takes a thousand of them
            yield "failures", ",".join(map(str, self.failures))

    @property
    def command(self) -> str:
        """The same on the command line."""
        if self.action == Action.ROLL_BACK:
            words = ["rollback_legacy", *self.labels]
            words += ["--run", str(self.run)] if self.run else []
            return " ".join(["manage.py", *words, *(["--force"] if self.force else [])])
        words = ["migrate_legacy", *self.labels]
        words += ["--update"] if self.action == Action.UPDATE else []
        words += ["--retry-failed"] if self.action == Action.RETRY else []
        words += ["--limit", str(self.limit)] if self.limit else []
        if self.max_errors:
            words += ["--max-errors", str(self.max_errors)]
        elif self.on_error == OnError.CONTINUE:
            words += ["--on-error", self.on_error.value]
        words += [] if self.action == Action.REHEARSE else ["--commit"]
        return " ".join(["manage.py", *words, *(["--atomic"] if self.mode == Mode.ATOMIC else [])])


#: What a failed row does to the run.
FAILED_ROW = {
    OnError.STOP.value: _("stops the run"),
    OnError.CONTINUE.value: _("is put on record, the run goes on"),
}


class OptionsForm(forms.Form):
    """What becomes of failed rows, and the labels that were chosen."""

    on_error = forms.ChoiceField(
        label=_("A failed row"),
        choices=list(FAILED_ROW.items()),
        required=False,
    )
    max_errors = forms.CharField(
        label=_("Failed rows allowed"),
        help_text=_("A number, or a share such as 5%; more of them stop the run"),
        required=False,
    )

    def clean_max_errors(self) -> MaxErrors | None:
        text = self.cleaned_data["max_errors"].strip()
        try:
            return MaxErrors.parse(text) if text else None
        except SpecError:
            raise forms.ValidationError(
                _("“Failed rows allowed” takes a number or a percentage such as 5%.")
            ) from None

    @property
    def chosen_on_error(self) -> OnError:
        """As on the command line: whoever allows some failures wants to go on past them."""
        data: dict[str, Any] = self.cleaned_data
        wants_end = OnError(data["on_error"] or OnError.STOP)
        return OnError.CONTINUE if data["max_errors"] else wants_end

    def listed(self, name: str) -> tuple[str, ...]:
        """All values of a field that may be there several times."""
        listed = self.data.getlist(name) if hasattr(self.data, "getlist") else ()
        return tuple(dict.fromkeys(listed))


class IntentForm(OptionsForm):
    """Reads an :class:`Intent`; labels are judged later, against the plan."""

    action = forms.ChoiceField(choices=Action.choices)
    limit = forms.IntegerField(
        label=_("Limit"),
        help_text=_("Only so many rows of each query"),
        min_value=1,
        max_value=LARGEST,
        required=False,
    )
    atomic = forms.BooleanField(
        label=_("All or nothing"), help_text=_("One transaction for the whole run"), required=False
    )
    force = forms.BooleanField(
        label=_("Undo also what people changed, and what something else refers to"),
        required=False,
    )
    run = forms.IntegerField(min_value=1, max_value=LARGEST, required=False)
    failures = forms.CharField(required=False)

    def clean_failures(self) -> tuple[int, ...]:
        """The messages by number; what is none must not be passed over and mean all of them."""
        listed = self.cleaned_data["failures"]
        numbers = [number_in(text) for text in listed.split(",")] if listed else []
        if None in numbers:
            raise forms.ValidationError(_("The failures to retry are numbers of messages."))
        return tuple(number for number in numbers if number is not None)

    @property
    def intent(self) -> Intent:
        """What a valid form asks for."""
        data: dict[str, Any] = self.cleaned_data
        return Intent(
            action=Action(data["action"]),
            labels=self.listed("label") or self.listed("shown"),
            limit=data["limit"],
            on_error=self.chosen_on_error,
            max_errors=data["max_errors"],
            atomic=data["atomic"] and data["action"] != Action.REHEARSE,
            force=data["force"],
            run=data["run"],
            failures=data["failures"],
        )

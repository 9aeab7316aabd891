"""The words: stable, unambiguous, and short enough for where they are kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import TextChoices

from data_migration import outcomes
from data_migration.models import Run, RunStep
from data_migration.outcomes import Mode, Outcome, RunStatus, WriterName

CONCEPTS = [
    value
    for value in vars(outcomes).values()
    if isinstance(value, type) and issubclass(value, TextChoices) and value is not TextChoices
]


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_word_is_the_same_in_code_database_and_english(concept: type[TextChoices]) -> None:
    for choice in concept:
        assert choice.name == choice.value.upper()
        assert str(choice.label) == choice.value.replace("_", " ")


def test_the_words_of_the_contract() -> None:
    assert set(Outcome.values) == {"created", "updated", "unchanged", "skipped", "failed"}
    assert {
        *("pending", "queued", "done", "partial", "failed"),
        "running",
        "interrupted",
        "skipped",
    } == set(RunStatus.values)
    assert {"auto", "save", "bulk", "copy"} <= set(WriterName.values)


@pytest.mark.parametrize(
    ("model", "name", "concept"),
    [(Run, "status", RunStatus), (Run, "mode", Mode), (RunStep, "status", RunStatus)],
)
def test_every_word_fits_the_column_that_keeps_it(
    model: type[Run | RunStep], name: str, concept: type[TextChoices]
) -> None:
    field: Any = model._meta.get_field(name)
    assert max(map(len, concept.values)) <= field.max_length
    assert dict(field.flatchoices) == dict(concept.choices)


def test_every_outcome_has_its_count_in_a_step() -> None:
    assert set(Outcome.values) <= {field.name for field in RunStep._meta.get_fields()}

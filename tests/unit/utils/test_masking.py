"""Values of sensitive columns reach no message, no log and no screen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.exceptions import RowFailure, SpecError
from data_migration.migration import Migration
from data_migration.models import RowError, Run, RunStep
from data_migration.outcomes import OnError
from data_migration.spec.columns import is_a
from data_migration.utils.masking import SensitiveRow, masked_row, masked_text
from tests.apps.shop.models import Brand, Everything, Product, Tag
from tests.support.engine import Result, Rows, migrate

SECRET = "4-hush 5-hush"


def test_a_row_is_shown_without_the_values() -> None:
    row = {"id": 1, "iban": "DE12", "pin": None}
    assert masked_row(row, ("iban", "pin")) == {"id": 1, "iban": "***", "pin": "***"}
    assert masked_row(row, ()) == row


def test_a_row_that_a_hook_changed_is_shown_without_what_it_brought_elsewhere() -> None:
    row = SensitiveRow({"id": 1, "iban": "DE12", "name": "Ann", "pin": 1})
    assert masked_row(row, ("iban",)) == {"id": 1, "iban": "***", "name": "Ann", "pin": 1}
    row["account"], row["note"] = row["iban"], f"of {row['iban']}"
    assert masked_row(row, ("iban",)) == {
        "id": 1, "iban": "***", "name": "Ann", "pin": 1, "account": "***", "note": "***",
    }  # fmt: skip
    row["name"] = row["name"].upper()
    assert masked_row(row, ("iban",))["name"] == "ANN"
    row["account"] = row.pop("iban").lower()
    shown = {"id": 1, "name": "***", "pin": 1, "account": "***", "note": "***"}
    assert masked_row(row, ("iban",)) == shown
    assert masked_text("no DE12, de12, 1", row, ("iban",)) == "no ***, ***, 1"


def test_a_column_that_repeats_a_sensitive_one_is_hidden_too() -> None:
    row = {"id": 1, "iban": "DE12", "old": "DE12 of Ann", "sex": "m", "name": "Tom"}
    assert masked_row(row, ("iban", "sex")) == {
        "id": 1, "iban": "***", "old": "***", "sex": "***", "name": "Tom",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "row", "masked"),
    [
        ("Key (iban)=(DE12) already exists", {"iban": "DE12"}, "Key (iban)=(***) already exists"),
        ("“DE12” is no number", {"iban": "DE12", "id": 5}, "“***” is no number"),
        ("DE12 DE1", {"iban": "DE1", "pin": "DE12"}, "*** ***"),
        ("number 1234 is too large", {"iban": 1234}, "number *** is too large"),
        ("two words", {"iban": "two\n  words"}, "***"),
        (r"no 'a\nb'", {"iban": "a\nb"}, "no '***'"),
        ("no b'DE12'", {"iban": b"DE12"}, "no ***"),
        ("the text DE12", {"iban": memoryview(b"DE12")}, "the text ***"),
        ("nothing to hide", {"iban": None, "pin": ""}, "nothing to hide"),
        ("nothing to hide", {"iban": " "}, "nothing to hide"),
        ("nothing to hide", {"other": "hide"}, "nothing to hide"),
        ("NULL. Failing row contains (1, x, DE1).", {}, "NULL. Failing row contains (***)."),
        (f"Duplicate entry '{'x' * 64}' is", {"iban": "x" * 90}, "Duplicate entry '***' is"),
    ],
)  # fmt: skip
def test_a_text_is_shown_without_the_values(text: str, row: dict[str, Any], masked: str) -> None:
    assert masked_text(text, row, ("iban", "pin")) == masked


def test_a_text_without_sensitive_columns_is_shown_as_it_is() -> None:
    text = "Failing row contains (1, x)"
    assert masked_text(text, {"iban": "x"}, ()) == text


@given(value=st.text(min_size=1).filter(str.strip), before=st.text(), behind=st.text())
def test_no_value_is_left_in_a_text(value: str, before: str, behind: str) -> None:
    text = masked_text(f"{before}{value!r}{value}{behind}", {"iban": value}, ("iban",))
    assert value.strip("*") in text.replace("***", "") or value not in text.replace("***", "")
    assert masked_text(value, {"iban": value}, ("iban",)) == "***"


# ---------------------------------------------------------------- in a run


def run(
    writer: str, *tables: Rows, capsys: pytest.CaptureFixture[str], **attributes: Any
) -> tuple[Result, str]:
    """The last result, and everything that was said and stored in any run."""
    defaults = {"model": Product, "writer": writer, "legacy_key": "id"}
    migration = type("Hiding", (Migration,), defaults | attributes)
    for rows in tables:
        result = migrate(migration, rows, on_error=OnError.STOP)
    said = [capsys.readouterr().err, str(result.error), *result.warned]
    for model in (Run, RunStep, RowError):
        said += [str(values) for values in model.objects.values()]
    return result, "\n".join(said)


with_database = pytest.mark.django_db


@with_database
@pytest.mark.parametrize(
    ("model", "row", "column"),
    [
        (Everything, {"integer": SECRET}, "integer"),
        (Everything, {"date": SECRET}, "date"),
        (Everything, {"big": 10**30}, "big"),
        (Product, {"sku": SECRET, "name": None}, "name"),
        (Product, {"sku": "there-hush-hush"}, "sku"),
        (Product, {"sku": "a", "name": "x", "brand": SECRET}, "brand"),
        (Product, {"sku": "a", "name": "x", "tags": f"b;{SECRET}"}, "tags"),
    ],
)
def test_a_failed_row_is_told_without_them(
    writer: str,
    model: Any,
    row: dict[str, Any],
    column: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Product.objects.create(sku="there-hush-hush")
    Tag.objects.create(name="b")
    described = {"brand": is_a(Brand, "code", fk=True), "tags": is_a(Tag, "name", m2m=True)}
    sensitive = [name for name, value in row.items() if "hush" in str(value) or value == 10**30]
    result, said = run(
        writer,
        [{"id": 7, **row}],
        capsys=capsys,
        model=model,
        column_description={name: described[name] for name in described if name in row},
        sensitive_columns=sensitive,
    )
    assert result.counts == {"failed": 1}
    assert [message.column for message in result.messages] == [column]
    assert "key 7" in said
    assert "***" in said
    assert "hush" not in said
    assert str(10**30) not in said


@with_database
def test_a_warning_is_told_without_them(writer: str, capsys: pytest.CaptureFixture[str]) -> None:
    described = {"brand": is_a(Brand, "code", fk=True, skip_missing=True)}
    rows: Rows = [{"id": 7, "sku": "a", "brand": SECRET}]
    result, said = run(
        writer, rows, capsys=capsys, column_description=described, sensitive_columns=("brand",)
    )
    assert result.told == [("7", "brand", "'***'")]
    assert result.causes == ["code = '***' matches no shop.Brand"]
    assert SECRET not in said


@with_database
@pytest.mark.parametrize("policy", ["keep", "overwrite", "report"])
def test_a_conflict_is_told_without_what_the_row_wants_and_what_a_person_wrote(
    writer: str, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook_before_all(self: Any) -> None:
        Product.objects.update(email="a-person@example.org")

    rows: Rows = [{"id": 7, "sku": "a", "email": "row@example.org"}]
    changed: Rows = [{"id": 7, "sku": "a", "email": "new@example.org"}]
    result, said = run(
        writer,
        rows,
        changed,
        capsys=capsys,
        sensitive_columns=("email",),
        on_conflict=policy,
        allow_updates=True,
        hook_before_all=hook_before_all,
    )
    assert result.told == [("7", "email", "'***'")]
    assert result.causes[0].startswith("was changed to '***' since it was written")
    assert "example.org" not in said


@with_database
def test_a_conflict_of_a_key_column_is_told_without_it(
    writer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    brands = [Brand.objects.create(pk=pk, code=str(pk)) for pk in (7700881, 7700882, 7700883)]

    def hook_before_all(self: Any) -> None:
        Product.objects.update(brand=brands[1])

    tables: list[Rows] = [[{"id": 7, "sku": "a", "brand_id": pk}] for pk in (7700881, 7700883)]
    result, said = run(
        writer,
        *tables,
        capsys=capsys,
        sensitive_columns=("brand_id",),
        allow_updates=True,
        hook_before_all=hook_before_all,
    )
    assert result.causes == ["was changed to '***' since it was written, which is kept"]
    assert not any(str(brand.pk) in said for brand in brands)


@with_database
def test_the_default_error_hook_writes_neither_row_nor_value_to_stderr(
    writer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Product.objects.create(sku=SECRET)
    with_hook: Rows = [{"id": 7, "sku": SECRET, "name": "x"}]
    defaults = {"model": Product, "writer": writer, "sensitive_columns": ("sku",)}
    migrate(type("Hiding", (Migration,), defaults), with_hook)
    err = capsys.readouterr().err
    assert err.startswith("Hiding: ")
    assert err.endswith("  row: id = 7, sku = '***', name = 'x'\n")
    assert SECRET not in err


@with_database
def test_other_columns_are_shown(writer: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows: Rows = [{"id": 7, "sku": SECRET, "price": "dear"}]
    result, said = run(writer, rows, capsys=capsys, sensitive_columns=("sku",))
    assert result.told == [("7", "price", "'dear'")]
    assert SECRET not in said


def renaming(row: dict[str, Any]) -> None:
    row["name"] = row.pop("iban")


def lowering(row: dict[str, Any]) -> None:
    row["name"] = f"of {row.pop('iban')}".upper()


@with_database
@pytest.mark.parametrize("rename", [renaming, lowering])
@pytest.mark.parametrize("fault", ["conversion", "database", "hook"])
def test_a_hook_that_renames_a_sensitive_column_takes_the_mask_along(
    writer: str, fault: str, rename: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        rename(row)
        if fault == "conversion":
            row["price"] = row["name"]
        if fault == "database":
            row["sku"] = row["name"]

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if fault == "hook":
            raise ValueError(f"{instance.name} is no name")

    Product.objects.create(sku=SECRET)
    Product.objects.create(sku=f"OF {SECRET.upper()}")
    result, said = run(
        writer,
        [{"id": 7, "sku": "a", "iban": SECRET}],
        capsys=capsys,
        sensitive_columns=("iban",),
        hook_before_transformation=hook_before_transformation,
        hook_before_save=hook_before_save,
    )
    assert result.counts == {"failed": 1}
    assert "name = '***'" in said
    assert "hush" not in said.lower()


@with_database
@pytest.mark.parametrize("policy", ["keep", "report"])
def test_a_conflict_of_a_renamed_column_is_told_without_it(
    writer: str, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        row["email"] = row.pop("mail")

    def hook_before_all(self: Any) -> None:
        Product.objects.update(email="a-person@example.org")

    tables: list[Rows] = [
        [{"id": 7, "sku": "a", "mail": f"{word}@example.org"}] for word in ("row", "new")
    ]
    result, said = run(
        writer,
        *tables,
        capsys=capsys,
        sensitive_columns=("mail",),
        on_conflict=policy,
        allow_updates=True,
        hook_before_all=hook_before_all,
        hook_before_transformation=hook_before_transformation,
    )
    assert result.told == [("7", "email", "'***'")]
    assert "example.org" not in said


@with_database
@pytest.mark.parametrize("name", ["ibna", "IBAN"])
def test_a_sensitive_column_that_the_query_does_not_return_is_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        """May add columns, but none that the model does not have."""

    rows: Rows = [{"id": 7, "sku": SECRET, "iban": "x"}]
    excluded = {"iban": is_a(exclude=True)}
    for hooks in ({}, {"hook_before_transformation": hook_before_transformation}):
        result, _ = run(
            "auto",
            rows,
            capsys=capsys,
            sensitive_columns=("sku", name),
            column_description=excluded,
            **hooks,
        )
        assert f"shop.Hiding: sensitive_columns names {name!r}" in str(result.error)
        assert isinstance(result.error, SpecError)
        assert not Product.objects.exists()


@with_database
def test_a_sensitive_column_may_be_one_that_a_hook_adds(
    writer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        row["price"] = f"{SECRET} {row['sku']}"

    rows: Rows = [{"id": 7, "sku": "a"}]
    result, said = run(
        writer,
        rows,
        capsys=capsys,
        sensitive_columns=("price",),
        hook_before_transformation=hook_before_transformation,
    )
    assert result.told == [("7", "price", "'***'")]
    assert "hush" not in said


# ---------------------------------------------------------------- what is configured


@with_database
@pytest.mark.parametrize("where", ["hook", "value", "row", "mine"])
@pytest.mark.parametrize("policy", list(OnError))
def test_a_configured_password_is_in_nothing_that_is_said_of_a_row(
    where: str,
    policy: OnError,
    writer: str,
    capsys: pytest.CaptureFixture[str],
    legacy_sources: dict[str, Any],
) -> None:
    legacy_sources["legacy"] = {"ENGINE": "mysql", "NAME": "x", "PASSWORD": SECRET}

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        if where == "hook":
            raise OSError(f"no connection: host=db password={SECRET}; Authorization: Bearer hush")
        if where == "mine":
            raise RowFailure(f"refused <{SECRET}>", column="sku", value=SECRET)

    row = {"id": 7, "sku": "a", "name": "b"}
    if where == "value":
        row["price"] = SECRET
    elif where == "row":
        row |= {"name": SECRET, "price": "dear"}
    migration = type(
        "Hiding",
        (Migration,),
        {"model": Product, "writer": writer, "hook_before_save": hook_before_save},
    )
    result = migrate(migration, [row], on_error=policy)
    said = [capsys.readouterr().err, str(result.error), result.run.error, result.step.error]
    said += [str(values) for values in RowError.objects.values()]
    assert result.counts == {"failed": 1}
    assert "***" in "".join(said)
    assert "hush" not in "".join(said)

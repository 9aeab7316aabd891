"""Fields that a person changed since they were written: kept, overwritten or reported."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.models import BeforeImage
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Category, Everything, Product, Tag
from tests.support.engine import Result, Rows, links_of, migrate, migrate_fine, open_failures_of

pytestmark = pytest.mark.django_db

DECIDE = (
    'Decide with on_conflict = "keep" or "overwrite", or mend one side and run the same command'
    " again"
)


@pytest.fixture(autouse=True)
def targets() -> None:
    for code in ("acme", "best", "mine"):
        Brand.objects.create(code=code)
    for name in "abc":
        Tag.objects.create(name=name)


def products(writer: str, policy: str = "keep", **attributes: Any) -> type[Migration]:
    described = {
        "brand": is_a(Brand, "code", fk=True),
        "tags": is_a(Tag, "name", m2m=True),
    }
    defaults = {
        "model": Product,
        "writer": writer,
        "allow_updates": True,
        "search_attr": "sku",
        "on_conflict": policy,
        "column_description": described,
    }
    return type("ProductMigration", (Migration,), defaults | attributes)


def rows(**changed: Any) -> Rows:
    """Three rows, of which the second one is ``changed``."""
    three: Rows = [
        {"sku": f"s{n}", "name": "x", "price": "1.50", "brand": "acme", "tags": "a;b"}
        for n in range(3)
    ]
    three[1] |= changed
    return three


def second() -> Product:
    return Product.objects.get(sku="s1")


def key(model: Any, **condition: Any) -> int:
    return int(model.objects.get(**condition).pk)


class TestFields:
    def rerun(self, migration: type[Migration]) -> Result:
        """A person edits two fields, the source changes one of them and another one."""
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s1").update(name="mine", email="mine@example.org")
        return migrate(migration, rows(name="new", price="2"))

    def test_keep(self, writer: str) -> None:
        result = self.rerun(products(writer))
        assert result.counts == {"updated": 1, "unchanged": 2, "warnings": 1}
        assert result.said == [
            ("conflict", '"s1"', "was changed to 'mine' since it was written, which is kept")
        ]
        assert result.told == [('"s1"', "name", "'new'")]
        assert (second().name, second().price) == ("mine", 2)

    def test_overwrite(self, writer: str) -> None:
        result = self.rerun(products(writer, "overwrite"))
        assert result.counts == {"updated": 1, "unchanged": 2, "warnings": 1}
        assert result.said == [
            (
                "conflict",
                '"s1"',
                "was changed to 'mine' since it was written, which is overwritten",
            )
        ]
        assert result.told == [('"s1"', "name", "'new'")]
        assert (second().name, second().price) == ("new", 2)

    def test_report(self, writer: str) -> None:
        migration = products(writer, "report")
        result = self.rerun(migration)
        assert result.counts == {"unchanged": 2, "failed": 1}
        assert result.said == [
            ("failure", '"s1"', f"was changed to 'mine' since it was written. {DECIDE}")
        ]
        assert result.told == [('"s1"', "name", "'new'")]
        assert (second().name, second().price) == ("mine", 1.5)
        assert open_failures_of(migration) == ['"s1"']

    @pytest.mark.parametrize("policy", ["keep", "overwrite", "report"])
    def test_what_the_source_does_not_have_is_no_conflict(self, writer: str, policy: str) -> None:
        self.rerun(products(writer, policy))
        assert second().email == "mine@example.org"

    @pytest.mark.parametrize("policy", ["keep", "overwrite", "report"])
    def test_an_edit_that_agrees_with_the_source_is_no_conflict(
        self, writer: str, policy: str
    ) -> None:
        migration = products(writer, policy)
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s1").update(name="new")
        assert migrate_fine(migration, rows(name="new")).counts == {"unchanged": 3}
        # From then on both have it from the source, which may change it again.
        assert migrate_fine(migration, rows(name="newer")).counts == {
            **{"updated": 1, "unchanged": 2}
        }

    def test_what_was_kept_is_told_again_only_when_the_row_changes_again(
        self, writer: str
    ) -> None:
        migration = products(writer)
        self.rerun(migration)
        assert migrate_fine(migration, rows(name="new", price="2")).counts == {"unchanged": 3}
        result = migrate(migration, rows(name="new", price="3"))
        assert (result.counts["updated"], result.told) == (1, [('"s1"', "name", "'new'")])

    def test_what_was_overwritten_is_no_edit_any_more(self, writer: str) -> None:
        migration = products(writer, "overwrite")
        self.rerun(migration)
        assert migrate_fine(migration, rows(name="newer", price="2")).counts == {
            **{"updated": 1, "unchanged": 2}
        }

    def test_what_was_reported_is_written_when_the_person_takes_it_back(self, writer: str) -> None:
        migration = products(writer, "report")
        self.rerun(migration)
        Product.objects.filter(sku="s1").update(name="x")
        result = migrate_fine(migration, rows(name="new", price="2"))
        assert result.counts == {"updated": 1, "unchanged": 2}
        assert open_failures_of(migration) == []

    def test_what_was_reported_is_tried_again_although_the_row_did_not_change(
        self, writer: str
    ) -> None:
        migration = products(writer, "report")
        self.rerun(migration)
        assert migrate(migration, rows(name="new", price="2")).counts == {
            **{"unchanged": 2, "failed": 1}
        }
        assert open_failures_of(migration) == ['"s1"']

    @pytest.mark.parametrize(
        ("edit", "shown"),
        [
            ({"name": ""}, "''"),
            ({"brand": None}, "NULL"),
            ({"price": 7}, "Decimal('7.00')"),
        ],
    )
    def test_values_are_shown_as_they_are(
        self, writer: str, edit: dict[str, Any], shown: str
    ) -> None:
        migration = products(writer)
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s1").update(**edit)
        result = migrate(migration, rows(name="new", price="2", brand="best"))
        assert result.causes == [f"was changed to {shown} since it was written, which is kept"]

    def test_long_values_are_cut(self, writer: str) -> None:
        migration = products(writer, model=Everything, search_attr="slug", column_description={})
        migrate_fine(migration, [{"slug": "a", "long_text": "x"}])
        Everything.objects.update(long_text="y" * 200)
        result = migrate(migration, [{"slug": "a", "long_text": "z"}])
        assert result.causes == [
            f"was changed to '{'y' * 98}… since it was written, which is kept"
        ]

    def test_foreign_keys(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, rows())
        mine, best = key(Brand, code="mine"), key(Brand, code="best")
        Product.objects.filter(sku="s1").update(brand=mine)
        result = migrate(migration, rows(brand="best"))
        assert result.counts == {"unchanged": 3, "warnings": 1}
        assert result.causes == [f"was changed to {mine} since it was written, which is kept"]
        assert result.told == [('"s1"', "brand", str(best))]
        assert second().brand_id == mine

    def test_a_bad_row_in_the_same_batch_does_not_repeat_the_message(self, writer: str) -> None:
        migration = products(writer)
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s1").update(name="mine")
        data = rows(name="new", price="2")
        data[2]["name"] = None
        result = migrate(migration, data)
        assert result.counts == {"updated": 1, "unchanged": 1, "failed": 1, "warnings": 1}
        assert sorted(result.told) == [('"s1"', "name", "'new'"), ('"s2"', "name", "NULL")]

    def test_a_hook_that_updates_decides_by_itself(self, writer: str) -> None:
        def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
            instance.name = row["name"]
            instance.save()

        migration = products(writer, "report", hook_update_existing=hook_update_existing)
        migrate_fine(migration, rows())
        Product.objects.filter(sku="s1").update(name="mine")
        assert migrate_fine(migration, rows(name="new")).counts == {"updated": 1, "unchanged": 2}
        assert second().name == "new"

    def test_of_an_object_without_a_link_nothing_is_known(self, writer: str) -> None:
        Product.objects.create(sku="s1", name="mine")
        result = migrate_fine(products(writer, "report"), rows())
        assert result.counts == {"created": 2, "updated": 1}

    def test_only_what_was_written_leaves_a_before_image(self, writer: str) -> None:
        self.rerun(products(writer))
        assert [image.values for image in BeforeImage.objects.all()] == [{"price": "1.50"}]


class TestManyToManys:
    def rerun(self, migration: type[Migration], **changed: Any) -> Result:
        """A person sets the tags to c, the source wants a."""
        migrate_fine(migration, rows())
        second().tags.set(Tag.objects.filter(name="c"))
        return migrate(migration, rows(tags="a", **changed))

    def tags(self) -> str:
        return "".join(sorted(tag.name for tag in second().tags.all()))

    def what(self) -> str:
        return f"was changed to ['{key(Tag, name='c')}'] since it was written"

    def test_keep(self, writer: str) -> None:
        migration = products(writer)
        result = self.rerun(migration)
        assert result.counts == {"unchanged": 3, "warnings": 1}
        assert result.said == [("conflict", '"s1"', f"{self.what()}, which is kept")]
        assert result.told == [('"s1"', "tags", f"['{key(Tag, name='a')}']")]
        assert self.tags() == "c"
        assert migrate_fine(migration, rows(tags="a")).counts == {"unchanged": 3}

    def test_keep_lets_the_fields_change(self, writer: str) -> None:
        result = self.rerun(products(writer), name="new")
        assert result.counts == {"updated": 1, "unchanged": 2, "warnings": 1}
        assert (second().name, self.tags()) == ("new", "c")

    def test_what_was_kept_stays_an_edit(self, writer: str) -> None:
        migration = products(writer)
        self.rerun(migration, name="new")
        result = migrate(migration, rows(tags="b", name="new"))
        assert result.counts == {"unchanged": 3, "warnings": 1}
        assert self.tags() == "c"

    def test_overwrite(self, writer: str) -> None:
        migration = products(writer, "overwrite")
        result = self.rerun(migration)
        assert result.counts == {"updated": 1, "unchanged": 2, "warnings": 1}
        assert result.said == [("conflict", '"s1"', f"{self.what()}, which is overwritten")]
        assert self.tags() == "a"
        assert migrate_fine(migration, rows(tags="b")).counts == {"updated": 1, "unchanged": 2}

    def test_report(self, writer: str) -> None:
        migration = products(writer, "report")
        result = self.rerun(migration, name="new")
        assert result.counts == {"unchanged": 2, "failed": 1}
        assert result.said == [("failure", '"s1"', f"{self.what()}. {DECIDE}")]
        assert (second().name, self.tags()) == ("x", "c")
        second().tags.set(Tag.objects.filter(name__in="ab"))
        assert migrate_fine(migration, rows(tags="a", name="new")).counts == {
            **{"updated": 1, "unchanged": 2}
        }
        assert (second().name, self.tags()) == ("new", "a")

    @pytest.mark.parametrize("policy", ["keep", "overwrite", "report"])
    def test_an_edit_that_agrees_with_the_source_is_no_conflict(
        self, writer: str, policy: str
    ) -> None:
        migration = products(writer, policy)
        migrate_fine(migration, rows())
        second().tags.set(Tag.objects.filter(name="c"))
        assert migrate_fine(migration, rows(tags="c")).counts == {"unchanged": 3}
        assert migrate_fine(migration, rows(tags="a")).counts == {"updated": 1, "unchanged": 2}


class TestToTheModelItself:
    def categories(self, writer: str, policy: str) -> type[Migration]:
        return products(
            writer,
            policy,
            model=Category,
            search_attr="name",
            column_description={
                "followers": is_a(Category, "name", m2m=True),
                "related": is_a(Category, "name", m2m=True),
            },
        )

    def followers(self, name: str) -> str:
        found = Category.objects.get(name=name).followers.all()
        return "".join(sorted(each.name for each in found))

    @pytest.mark.parametrize(
        ("policy", "counts", "followers"),
        [
            ("keep", {"created": 1, "updated": 1, "unchanged": 1, "warnings": 1}, "b"),
            ("overwrite", {"created": 1, "updated": 2, "warnings": 1}, "z"),
            ("report", {"created": 1, "updated": 1, "failed": 1}, "b"),
        ],
    )
    def test_targets_that_come_later_are_compared_when_they_are_there(
        self, writer: str, policy: str, counts: dict[str, int], followers: str
    ) -> None:
        migration = self.categories(writer, policy)
        data: Rows = [{"name": name, "followers": None, "related": None} for name in "ab"]
        migrate_fine(migration, data)
        Category.objects.get(name="a").followers.add(Category.objects.get(name="b"))
        data = [row | {"followers": "z"} for row in data]
        data += [{"name": "z", "followers": None, "related": None}]
        result = migrate(migration, data, batch_size=1)
        assert result.error is None
        assert result.counts == counts
        assert (self.followers("a"), self.followers("b")) == (followers, "z")
        assert set(links_of(migration)) == {'"a"', '"b"', '"z"'}

    def test_the_other_end_of_a_symmetrical_relation_is_no_person(self, writer: str) -> None:
        migration = self.categories(writer, "report")
        data: Rows = [{"name": name, "followers": None, "related": None} for name in "abcd"]
        data[0]["followers"] = "d"  # late, so its relations are looked at twice
        data[2]["related"] = "a;b"
        assert migrate_fine(migration, data, batch_size=1).counts == {"created": 4}
        data[1] |= {"followers": "a", "related": "d"}
        assert migrate_fine(migration, data).counts == {"updated": 1, "unchanged": 3}
        related = {
            category.name: "".join(sorted(each.name for each in category.related.all()))
            for category in Category.objects.all()
        }
        assert related == {"a": "c", "b": "cd", "c": "ab", "d": "b"}

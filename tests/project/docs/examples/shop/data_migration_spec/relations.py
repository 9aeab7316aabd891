from __future__ import annotations

from data_migration import BaseMigration, is_a
from shop.models import Account, Category, Customer, Label, Order, Product, Remark


class AccountMigration(BaseMigration):
    query = "SELECT id AS customer, credit FROM kunde WHERE credit IS NOT NULL"
    model = Account
    column_description = {"customer": is_a(Customer, search_attr="id", o2o=True)}


class CategoryMigration(BaseMigration):
    # A tree. The query may return children before their parents.
    query = "SELECT id, parent, name FROM rubrik"
    model = Category
    column_description = {"parent": is_a(Category, search_attr="id", fk=True)}


class LabelMigration(BaseMigration):
    query = "SELECT id, name FROM label"
    model = Label


class ProductMigration(BaseMigration):
    query = "SELECT nr AS sku, title, rubrik AS category, price, labels, similar FROM artikel"
    model = Product
    column_description = {
        # Any attribute that tells the targets apart, with a lookup if need be.
        "category": is_a(Category, search_attr="name__iexact", fk=True),
        # A text such as "1,3". Ids of labels that are gone are left out, with a warning.
        "labels": is_a(Label, search_attr="id", m2m=True, delimiter=",", skip_missing=True),
        # To the model itself, again in any order.
        "similar": is_a(Product, search_attr="sku", m2m=True),
    }


class RemarkMigration(BaseMigration):
    query = "SELECT id AS 'order', remark AS text FROM auftrag WHERE remark <> 'TEST'"
    model = Remark
    column_description = {
        # Orders are many: look up those of each batch instead of reading all keys first.
        "order": is_a(Order, search_attr="id", fk=True, prefetch=False, assign_by_id=True),
    }

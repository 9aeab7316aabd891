"""What people changed in objects since one migration last wrote them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Model

from ..fields.digests import UNKNOWN, FieldDigests, targets_digest
from ..fields.lookup import stored_values
from ..ledger import Link, LinkBook
from .m2m_targets import targets_of


def find_edits(
    model: Any, pairs: Collection[tuple[Link, Model]], book: LinkBook
) -> dict[str, set[str]]:
    """The fields and many-to-manys that are not as they were written, by the key's hash.

    ``pairs`` are stored objects of ``model``, each with the link in ``book`` that wrote it.
    """
    digests = FieldDigests(model, database=book.database)
    written = {link.key_hash: book.written(link) for link, _ in pairs}
    found = {
        link.key_hash: digests.edited(written[link.key_hash], stored_values(instance))
        for link, instance in pairs
    }
    for name in sorted({name for each in written.values() for name in each} - {*digests.names}):
        if not hasattr(model, name):
            continue  # the many-to-many is gone from the model
        known = [pair for pair in pairs if written[pair[0].key_hash].get(name, UNKNOWN)]
        stored = targets_of([each for _, each in known], name, database=book.database)
        for link, instance in known:
            if targets_digest(stored[instance.pk]) != written[link.key_hash][name]:
                found[link.key_hash].add(name)
    return {key_hash: names for key_hash, names in found.items() if names}

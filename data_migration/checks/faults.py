"""Every fault that a check can find: its id, what it says and what to do about it.

The ids are stable: people silence them with ``SILENCED_SYSTEM_CHECKS`` and look them up in
docs/reference/checks.rst.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.checks import CheckMessage, Error, Warning

from ..utils.redaction import redact

PREFIX = "data_migration."


class Text(NamedTuple):
    """What is wrong, and the hint; both are templates."""

    message: str
    hint: str


def fault(number: str, about: str | None, **details: Any) -> CheckMessage:
    """Return the message with that id; ``about`` is a migration's label or a setting's name."""
    text = FAULTS[number]
    kind = Error if number.startswith("E") else Warning
    return kind(
        redact(text.message.format(**details)),
        hint=text.hint.format(**details),
        obj=about,
        id=f"{PREFIX}{number}",
    )


FAULTS = {
    # specs
    "E001": Text(
        "{problem}",
        "Once the module can be imported, run: manage.py check --tag data_migration",
    ),
    "E002": Text("{problem}", "A label names one class, so each name can be used once per app."),
    "W003": Text(
        "The class has a query and no spec has it, so it never runs.",
        "Import the class, or its module, in the spec: from {module} import ...",
    ),
    # the query and its model
    "E010": Text(
        "The migration has a query and no model.",
        "Set model to the model class that receives the rows.",
    ),
    "E011": Text(
        "model has to be a model class, got {value!r}.",
        "Import the class and assign it: model = Customer.",
    ),
    "E012": Text(
        "The model {model} has no table of its own: it is {why}.",
        "Set model to a model that is stored in the database.",
    ),
    "E013": Text(
        "query has to be a string, got {value!r}.",
        "Set query to the text of a SELECT; its parameters go into query_params.",
    ),
    "E014": Text(
        "query has no SELECT in it: {value!r}.",
        "Set query to a SELECT; run manage.py migrate_legacy --logquery to see each query.",
    ),
    "E015": Text(
        "query_params has to be a list, a tuple or a dict, got {value!r}.",
        "A tuple of one value needs a comma: query_params = (value,).",
    ),
    "W016": Text(
        "The class has a model and no query, so it never runs.",
        "Give it a query, or skip = True and a query if it must not run yet.",
    ),
    "W017": Text(
        "{name!r} is no attribute or hook of a migration, so it has no effect.{suggestion}",
        "Rename it; a helper of your own is not mistaken for a hook if its name starts with _.",
    ),
    "E018": Text(
        "{name} is overridden, which django-data-migration 0.2.1 called and nothing calls here:"
        " rows would arrive in another way than you mean.",
        "Instead, {instead}. A helper of your own needs another name, such as _{name}.",
    ),
    "W019": Text(
        "{name} is set, which django-data-migration 0.2.1 used and nothing uses here.",
        "Remove it: how many targets are kept in memory is DATA_MIGRATION_RELATION_CACHE_SIZE.",
    ),
    # column_description
    "E020": Text(
        "column_description has to be a dict from column to is_a(...), got {value!r}.",
        'Write it as column_description = {{"author": is_a(Author, search_attr="id", fk=True)}}.',
    ),
    "E021": Text(
        "column_description[{column!r}] has to come from is_a(...), got {value!r}.",
        "Describe the column with is_a(), or remove it: plain values need no description.",
    ),
    "E022": Text(
        "column_description names {column!r}, which is no relation of {model}.{suggestion}",
        "Describe relations only, under the model's name for them: rename the column with AS in"
        " the query, or leave it to your hooks with is_a(exclude=True).",
    ),
    "E023": Text(
        "column {column!r} is described with {kind}=True, but {model}.{column} holds {holds}.",
        "Use {better}=True.",
    ),
    "E024": Text(
        "column {column!r} is described as a {klass}, but {model}.{column} refers to {related}.",
        "Use is_a({name}, ...).",
    ),
    "E025": Text(
        "column {column!r} is searched by {attr!r}, which {klass} does not have.{suggestion}",
        "Set search_attr to a field of {klass}, or to a path such as profile__code.",
    ),
    "W026": Text(
        "column {column!r} is described with {kind}=True, but {model}.{column} is a {field}.",
        "Use {better}=True. The rows arrive the same.",
    ),
    "W027": Text(
        "column {column!r} has skip_missing=True, but {model}.{column} may not be NULL: a row"
        " whose target is missing fails all the same.",
        "Allow null=True on the field, or return False from hook_before_save() for such rows.",
    ),
    "W028": Text(
        "column {column!r} is searched by {attr!r}, which is not unique on {klass}: a row whose"
        " value several objects have fails.",
        "Search by a unique attribute, or make {attr!r} unique.",
    ),
    "E029": Text(
        "column {column!r} is filled later (deferred=True), but {model}.{column} may not be NULL.",
        "Allow null=True on the field, or remove deferred=True.",
    ),
    # what identifies a row
    "E030": Text(
        "search_attr is {value!r}, which is no field of {model}.{suggestion}",
        "Set search_attr to a field of the model that the query returns as a column.",
    ),
    "E031": Text(
        "legacy_key has to be a column or several, got {value!r}.",
        'Write legacy_key = "id" or legacy_key = ("order_id", "position").',
    ),
    "W032": Text(
        "allow_updates is set, but nothing tells which object a row stands for: there is no"
        " search_attr and no legacy_key, and the query does not return {pk!r}.",
        "Set search_attr to a field of {model} that the query returns and that is different for"
        " every row.",
    ),
    # legacy keys
    "E033": Text(
        "column {column!r} finds a {klass} by its legacy key, but no migration with a legacy key"
        " fills that model.",
        "Set legacy_key on the migration that fills {klass}, or find the object by search_attr.",
    ),
    "E034": Text(
        "column {column!r} finds a {klass} by the legacy keys of {value}, which is no migration"
        " that fills that model.{suggestion}",
        'Write legacy=True, or name a migration that fills {klass}: legacy="app_label.ClassName".',
    ),
    "E035": Text(
        "column {column!r} gives a legacy key of {asked} column(s), but that of {other} has"
        " {count} ({key}).",
        "Name the columns of this query that hold the key, in the order of legacy_key:"
        ' columns=("country", "number").',
    ),
    "E036": Text(
        "{column!r} identifies the rows and is one of sensitive_columns: without the key no"
        " message could say which row it is about.",
        "Take it out of sensitive_columns, or set legacy_key to another column.",
    ),
    "W037": Text(
        "removed is {value!r} and has no effect: without a legacy key the ledger does not know"
        " which rows there were.",
        "Set legacy_key to the column or columns of the query that identify a row.",
    ),
    "E038": Text(
        "{what} is {value!r}, which {model} works out in Python: no database can be asked for it.",
        'Search by the fields it is made of, several if need be: search_attr=("first", "last")'
        " with columns=(...) in is_a(), legacy_key for the migration; or keep it in a field.",
    ),
    "W039": Text(
        "The migration has a query, so its method rows() is not called.",
        "Leave the query out, or give the method another name.",
    ),
    # depends_on
    "E040": Text(
        "depends_on has to be a list, got {value!r}.",
        "Write it as depends_on = [Customer].",
    ),
    "E041": Text(
        "depends_on has an entry that is no model, migration or label: {value!r}.",
        'Use a model class, a Migration class or "app_label.ClassName".',
    ),
    "E042": Text("{problem}", "See every migration with: manage.py show_legacy"),
    "E043": Text(
        "{problem}",
        "The page howto/relations of the documentation shows how to migrate a cycle.",
    ),
    # writing
    "E044": Text(
        "{name} has to be a method, got {value!r}.",
        "Define it with def, or leave it out: an async method would never be waited for.",
    ),
    "E050": Text("writer {value!r} does not exist.{suggestion}", "Choose one of {known}."),
    "E052": Text(
        "batch_size has to be a whole number above zero, got {value!r}.",
        "Remove it to use DATA_MIGRATION_BATCH_SIZE, which is {default!r}.",
    ),
    "E053": Text(
        "split has to be True, False or None, got {value!r}.",
        "True lets --workers split it although hooks may share memory, False forbids it.",
    ),
    # reruns
    "E054": Text(
        "{name} has to be one of {known}, got {value!r}.",
        "Remove it to use the default.",
    ),
    "E055": Text(
        "{name} has to be True or False, got {value!r}.",
        "Any other value would count as one of the two without saying so.",
    ),
    "E056": Text(
        "removed_limit has to be a percentage between 0 and 100, got {value!r}.",
        "Write removed_limit = 25 to let a rerun delete up to a quarter of the objects.",
    ),
    "E057": Text(
        "high_water has to be the name of a column of the query, got {value!r}.",
        'Write high_water = "modified".',
    ),
    "E058": Text(
        "high_water_lag has to be a timedelta or a number, not below zero, got {value!r}.",
        "Write high_water_lag = timedelta(minutes=5), or a number for a column of numbers.",
    ),
    "E059": Text(
        "sensitive_columns has to be a tuple of column names, got {value!r}.",
        'A tuple of one name needs a comma: sensitive_columns = ("iban",).',
    ),
    # sources
    # Warnings where another machine's settings may be complete: they stop only such a run as
    # needs the source.
    "W060": Text(
        "There is no source {name!r}, from which {users} would read.{suggestion}",
        "Add {name!r} to DATA_MIGRATION_SOURCES, or define open_db_connection() in the spec.",
    ),
    "E061": Text(
        "Nothing says where the legacy database is.",
        "Set source to a name in DATA_MIGRATION_SOURCES, or define open_db_connection().",
    ),
    "E062": Text(
        "DATA_MIGRATION_SOURCES has to be a dict from name to source, got {kind}.",
        'Write it as {{"legacy": {{"ENGINE": "mysql", "NAME": "shop"}}}}.',
    ),
    "E063": Text("{problem}", "An ENGINE is one of {engines}."),
    "W064": Text(
        "The Python driver for the engine {engine!r} is not installed ({modules}).",
        "Run: pip install {requirement}",
    ),
    "W065": Text(
        "{key} is empty.",
        "Set it before the first run on this machine; all other commands work without it.",
    ),
    "E066": Text(
        "source has to be a name in DATA_MIGRATION_SOURCES, got {value!r}.",
        'Write source = "legacy".',
    ),
    # settings
    "E070": Text("{name} has to be {wanted}, got {value!r}.", "Remove it to use the default."),
    "W071": Text(
        "There is no setting {name}, so it has no effect.{suggestion}",
        "Rename or remove it.",
    ),
    "E072": Text(
        "{name} is {value!r}, which is not one of {wanted}.",
        "Remove it to use the first that is set up.",
    ),
    # patches: where they stand
    "E080": Text(
        "{problem}",
        "Once it can be read, run: manage.py check --tag data_migration",
    ),
    "E081": Text(
        "There is no section [{name}].{suggestion}",
        "Write [pre_model_sync] for what runs before migrate, [post_model_sync] for what runs"
        " after it.",
    ),
    "E082": Text(
        "The section [{name}] stands here again, first in line {first}.",
        "Move the lines below it to the first one.",
    ),
    "E083": Text(
        "The line stands above the first section, so nothing says when it is to run.",
        "Move it below [pre_model_sync] or [post_model_sync].",
    ),
    "E084": Text(
        "The line is indented, as if it were a part of the line above.",
        "Remove the blanks at its beginning.",
    ),
    "E085": Text("{problem}", "{remedy}"),
    "E086": Text(
        "There are two patches in this line: execute: begins another one.",
        "Write each into a line of its own.",
    ),
    "E087": Text(
        "Nothing follows execute: here.",
        "Write a Python statement behind it, or remove the line.",
    ),
    "E088": Text(
        "The statement cannot be compiled: {problem} (column {column}).",
        "Write Python that fits into one line, or a module with execute() and its dotted path.",
    ),
    "E089": Text(
        "There is no {what}.{suggestion}",
        "Write the whole path, as for an import: shop.patches.fill_slugs.",
    ),
    "E090": Text("{problem}", "{remedy}"),
    "E091": Text(
        "The name {label} has been taken by the patch in {place}.",
        "Give one of them another name: what has run is known by it.",
    ),
    "E092": Text(
        "It depends on {needed}, which is no patch.{suggestion}",
        "Write the label of a patch, app and name; manage.py show_patches lists them all.",
    ),
    "E093": Text(
        "These patches wait for each other: {loop}.",
        "Remove one of them from depends_on.",
    ),
    # patches: what they say
    "E094": Text(
        "{name} has to be {wanted}, got {value!r}.",
        "Remove it to use the default.",
    ),
    "E095": Text("{problem}", "{remedy}"),
    "E096": Text(
        "{attribute} names the schema migration {app}.{name}: {why}",
        "Write its app and its name, or the beginning of it: {attribute} ="
        ' [("shop", "0007_item_slug")].',
    ),
    "E097": Text(
        "watches names {file!r}, and there is no such file in {folder}.",
        "Write its path from the folder of the app, or remove it.",
    ),
    "E098": Text(
        "writes names {entry!r}, which is no model.{suggestion}",
        'Write a model class or a label such as "shop.Item".',
    ),
    "E099": Text(
        "needs names {needed}, which comes after {last} of before: so it could never run.",
        "Mend one of the two: needs is where its time begins, before where it ends.",
    ),
    "W080": Text(
        "Nothing lists these modules with execute(), so they never run: {modules}.",
        "List them in {file} in the folder of the app, or remove them.",
    ),
    "W081": Text(
        "It is a patch and the {file} of its app does not name it, so it never runs.",
        "Add a line with its dotted path.",
    ),
    "W082": Text(
        "The line stands in line {first} already, and runs once, in that place.",
        "Remove it; with another comment behind it, it runs again.",
    ),
    "W083": Text(
        "What this line names is the patch {label} of {place} already, and runs once, there.",
        "Remove one of the two.",
    ),
    "W084": Text(
        "{name!r} is no attribute or method of a patch, so it has no effect.{suggestion}",
        "Rename it; a helper of your own is not mistaken for one if its name starts with _.",
    ),
    "W085": Text("{name} has no effect {why}.", "Remove it."),
    "W086": Text(
        "The class is a patch and stands where no patches are looked for, so it never runs.",
        "Move it into {folder}.patches, or name it in patches.txt; one that others inherit from"
        " begins with an underscore.",
    ),
    "W087": Text(
        "phase is {phase!r}, and the section says {section!r}: phase counts.",
        "Move the line to the other section, or remove phase.",
    ),
    "W088": Text(
        "replaces names {name!r}, and no app is called {app!r}.",
        "If it is a former name of this app, write '{own}.{name}'.",
    ),
    "W089": Text(
        "It runs before migrate and depends on {needed}, which runs after it: so it waits for the"
        " next migrate.",
        "Let both run on the same side of migrate.",
    ),
    # syncs
    "E100": Text(
        "{problem}",
        "Once it is mended, run: manage.py check --tag data_migration",
    ),
    "E101": Text(
        "The plan has no mappings.",
        "Name them: mappings = [ItemToAtlas].",
    ),
    "E102": Text(
        "The mapping has no {name}.",
        "{remedy}",
    ),
    "E103": Text("{problem}", "The page reference/syncs of the documentation has every field."),
    "E104": Text(
        "{name} has to be {wanted}, got {value!r}.",
        "Remove it to use the default.",
    ),
    "E105": Text(
        "{remote!r} is {what}, which is only sent, and the mapping only pulls.",
        'Remove it, or let the mapping push: direction = "sync".',
    ),
    "E106": Text(
        "{first!r} and {second!r} both fill {name}.",
        'Let one of the two only be sent: From("{name}", direction="push").',
    ),
    "E107": Text(
        'on_conflict is "newest", and {missing} does not say when a {side} was changed.',
        "Set {missing} to {wanted}.",
    ),
    "E108": Text(
        "{needs}, and {connector} has no {method}().",
        "Write {method}() in the connector, or change the mapping.",
    ),
    "E109": Text(
        "match names {name!r}, which is no remote name of a field that is pulled.{suggestion}",
        'Name keys of fields whose values are plain, such as match = ("sku",).',
    ),
    "E110": Text(
        "{remote!r} refers to a {klass}, and no mapping is of that model.",
        "Write a mapping for {klass} and name it in a plan, so that its keys are known.",
    ),
    "E111": Text(
        "DATA_MIGRATION_CONNECTORS has to be a dict from name to connector, or the dotted path of"
        " a function that returns one, got {kind}.",
        'Write it as {{"atlas": {{"CONNECTOR": "shop.connectors.Atlas", "HOST": "..."}}}}.',
    ),
    "E112": Text(
        "changed_here is {name!r}, which is no date-time field of {model}.{suggestion}",
        "Set it to a field that says when an object was changed.",
    ),
    "W100": Text(
        "The plan names no connector, so it only runs with --connector.",
        "Set connector to a name in DATA_MIGRATION_CONNECTORS.",
    ),
    # A warning where another machine's settings may be complete.
    "W101": Text(
        "There is no connector {name!r}.{suggestion}",
        "Add {name!r} to DATA_MIGRATION_CONNECTORS, with its CONNECTOR and HOST.",
    ),
    "W102": Text(
        "It depends on {needed}, which no plan runs with the same connector.",
        "Name it in the plan as well.",
    ),
    "W103": Text(
        "No plan names the mapping, so it never runs.",
        "Name it in the mappings of a plan; one that others inherit from needs no objectname.",
    ),
    "W104": Text(
        "{remote!r} goes both ways and has a conversion for {one} alone: what is {other} may not"
        " be what came.",
        "Give From() both, pull and push, or a direction.",
    ),
    "W105": Text(
        "sensitive names {name!r}, which is no remote name of a field, so it hides nothing."
        "{suggestion}",
        "Write the remote name as it stands in fields.",
    ),
    "W106": Text(
        "{name!r} is no attribute or method of a {kind}, so it has no effect.{suggestion}",
        "Rename it; a helper of your own is not mistaken for one if its name starts with _.",
    ),
}

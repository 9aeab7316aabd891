from typing import Any

from django.db import migrations, models


def kinds_of_old_runs(apps: Any, schema_editor: Any) -> None:
    """Before there were kinds, a run whose mode said so was a rollback, any other an import."""
    runs = apps.get_model("data_migration", "Run").objects.using(schema_editor.connection.alias)
    runs.filter(mode="rollback").update(kind="rollback")


class Migration(migrations.Migration):

    dependencies = [
        ("data_migration", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="kind",
            field=models.CharField(default="import", max_length=16, verbose_name="kind"),
        ),
        migrations.RunPython(kinds_of_old_runs, migrations.RunPython.noop),
    ]

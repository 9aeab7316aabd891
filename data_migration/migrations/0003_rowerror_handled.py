from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("data_migration", "0002_run_kind"),
    ]

    operations = [
        migrations.AddField(
            model_name="rowerror",
            name="handled",
            field=models.BigIntegerField(null=True, verbose_name="checksum"),
        ),
    ]

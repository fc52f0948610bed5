"""Settings: complete or refused, with a sentence that says what to do."""

import pytest

from tests.handlers.conftest import ENVIRONMENT
from tidemark.settings import SettingInvalid, Settings, observed_as


def test_settings_have_defaults_for_numbers() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert (settings.catalog_table, settings.bucket) == ("catalog", "bucket")
    assert (settings.shards, settings.gates, settings.inline_budget_s) == (16, 16, 5.0)
    assert settings.object_lock is False
    assert (settings.recycle_bin_days, settings.scrub_days) == (7, 30)


def test_settings_take_numbers_as_text() -> None:
    given = {"TIDEMARK_SHARDS": "4", "TIDEMARK_GATES": "3", "TIDEMARK_INLINE_BUDGET_S": "0"}
    settings = Settings.from_environment(ENVIRONMENT | given)
    assert (settings.shards, settings.gates, settings.inline_budget_s) == (4, 3, 0.0)


def test_settings_are_refused_naming_every_variable_that_is_missing() -> None:
    with pytest.raises(SettingInvalid, match="TIDEMARK_BUCKET, TIDEMARK_RESTORE_MACHINE_ARN"):
        Settings.from_environment(
            {**ENVIRONMENT, "TIDEMARK_BUCKET": ""} | {"TIDEMARK_RESTORE_MACHINE_ARN": ""},
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDEMARK_SHARDS", "12"),
        ("TIDEMARK_SHARDS", "0"),
        ("TIDEMARK_SHARDS", "128"),
        ("TIDEMARK_SHARDS", "many"),
        ("TIDEMARK_GATES", "1.5"),
        ("TIDEMARK_INLINE_BUDGET_S", "-1"),
        ("TIDEMARK_INLINE_BUDGET_S", "21"),
        ("TIDEMARK_INLINE_BUDGET_S", "nan"),
        ("TIDEMARK_SCRUB_DAYS", "0"),
        ("TIDEMARK_SCRUB_DAYS", "367"),
        ("TIDEMARK_RECYCLE_BIN_DAYS", "0"),
        ("TIDEMARK_RECYCLE_BIN_DAYS", "1.5"),
    ],
)
def test_settings_are_refused_when_a_number_is_unusable(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=name):
        Settings.from_environment({**ENVIRONMENT, name: value})


def test_names_for_logs_and_metrics_fall_back_to_the_product() -> None:
    assert observed_as({}) == ("tidemark", "Tidemark")
    assert observed_as({"POWERTOOLS_SERVICE_NAME": "a", "POWERTOOLS_METRICS_NAMESPACE": "b"}) == ("a", "b")


DELIVERY = {
    "TIDEMARK_SCHEDULE_GROUP": "tidemark-backups",
    "TIDEMARK_BACKUP_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:backup",
    "TIDEMARK_BACKUP_ROLE_ARN": "arn:aws:iam::123456789012:role/backups",
    "TIDEMARK_BACKUP_DEAD_LETTERS_ARN": "arn:aws:sqs:eu-west-1:123456789012:dead",
}


def test_functions_that_set_schedules_know_all_that_delivers_them_or_nothing() -> None:
    assert Settings.from_environment(ENVIRONMENT).schedule_group == ""
    known = Settings.from_environment(ENVIRONMENT | DELIVERY | {"TIDEMARK_SCHEDULES_PER_TENANT": "3"})
    assert (known.schedule_group, known.schedules_per_tenant) == ("tidemark-backups", 3)
    with pytest.raises(SettingInvalid, match="TIDEMARK_BACKUP_ROLE_ARN"):
        Settings.from_environment(ENVIRONMENT | DELIVERY | {"TIDEMARK_BACKUP_ROLE_ARN": ""})


def test_schedule_of_all_tenants_is_read_with_its_rules() -> None:
    none = Settings.from_environment(ENVIRONMENT | {"TIDEMARK_BACKUP_SCHEDULE": "disabled"})
    assert (none.backup_schedule, none.backup_timezone, none.backup_retention) == ("", "UTC", ())
    told = {"TIDEMARK_BACKUP_SCHEDULE": "cron(40 4 * * ? *)", "TIDEMARK_BACKUP_RETENTION": "daily:7,keepWithin:P2D"}
    settings = Settings.from_environment(ENVIRONMENT | told)
    assert settings.backup_schedule == "cron(40 4 * * ? *)"
    assert settings.backup_retention == (("daily", 7), ("keepWithin", "P2D"))


@pytest.mark.parametrize("rules", ["daily", "daily:", "daily:-1", "daily:7;weekly:2", "daily:7,daily:8", "{}"])
def test_rules_that_are_none_are_refused(rules: str) -> None:
    with pytest.raises(SettingInvalid, match="TIDEMARK_BACKUP_RETENTION"):
        Settings.from_environment(ENVIRONMENT | {"TIDEMARK_BACKUP_RETENTION": rules})

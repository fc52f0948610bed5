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

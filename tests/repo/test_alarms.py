"""Alarms and the dashboard of template.yaml: whom they tell, and that what they look at is published by somebody."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.repo.sources import FUNCTIONS, README, TIDEMARK, files, resources

ALARMS = "AWS::CloudWatch::Alarm"
NAMESPACE = "Tidemark"
TOLD = [
    {"Fn::If": ["HasAlarmTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]},
    {"Fn::If": ["HasAlarmEmail", {"Ref": "AlarmTopic"}, {"Ref": "AWS::NoValue"}]},
]


def _named(value: Any) -> Iterator[str]:
    """The metrics of the product in an alarm: alone, or among those of an expression."""
    if isinstance(value, dict):
        if value.get("Namespace") == NAMESPACE:
            yield value["MetricName"]
        for item in value.values():
            yield from _named(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item)


def _dashboard() -> Any:
    [dashboard] = resources("AWS::CloudWatch::Dashboard").values()
    return json.loads(re.sub(r"\$\{[A-Za-z:.]+\}", "0", dashboard["DashboardBody"]["Fn::Sub"]))


def _widgets() -> list[Any]:
    widgets: list[Any] = _dashboard()["widgets"]
    return widgets


def test_every_alarm_tells_the_topic_and_the_address() -> None:
    alarms = resources(ALARMS)
    assert alarms
    assert [name for name, alarm in alarms.items() if alarm.get("AlarmActions") != TOLD] == []


def test_readme_says_what_the_alarms_cost() -> None:
    """Each metric that an alarm looks at is paid for, those of an expression one by one."""
    alarms = resources(ALARMS)
    looked_at = sum(sum("MetricStat" in one for one in alarm.get("Metrics", [])) or 1 for alarm in alarms.values())
    row = f"| alarms | {len(alarms)}, which look at {looked_at} metrics | {looked_at * 0.10:.2f} a month |"
    assert row in README.read_text(encoding="utf-8")


def test_alarms_and_dashboard_look_at_metrics_that_are_published() -> None:
    published = "\n".join(
        path.read_text(encoding="utf-8") for under in (TIDEMARK, FUNCTIONS) for path in files(".py", under=under)
    )
    rows = [row for widget in _widgets() for row in widget["properties"].get("metrics", [])]
    watched = {row[1] for row in rows if row[0] == NAMESPACE} | set(_named(list(resources(ALARMS).values())))
    assert {"SnapshotsCompleted", "LastSnapshotAgeSeconds", "BackupMissed"} <= watched
    assert sorted(name for name in watched if f'"{name}"' not in published) == []


def test_readme_names_every_alarm() -> None:
    readme = README.read_text(encoding="utf-8")
    alarms = resources(ALARMS).values()
    names = [alarm["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", "tidemark") for alarm in alarms]
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_somebody_is_told_that_the_stream_lags_before_what_it_holds_is_given_up() -> None:
    mappings = resources("AWS::Lambda::EventSourceMapping")
    lagging = {
        alarm["Dimensions"][0]["Value"]["Ref"]: alarm
        for alarm in resources(ALARMS).values()
        if (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/Lambda", "IteratorAge")
    }
    assert mappings
    for mapping in mappings.values():
        alarm = lagging[mapping["FunctionName"]["Ref"]]
        assert alarm["Statistic"] == "Maximum"
        # Milliseconds; there is time left to do something.
        assert alarm["Threshold"] / 1000 * 2 <= mapping["MaximumRecordAgeInSeconds"]


def test_dashboard_shows_every_alarm() -> None:
    [dashboard] = resources("AWS::CloudWatch::Dashboard").values()
    shown = set(re.findall(r"\$\{(\w+)\.Arn\}", dashboard["DashboardBody"]["Fn::Sub"]))
    assert shown == set(resources(ALARMS))


def test_widgets_of_the_dashboard_do_not_cover_each_other() -> None:
    taken = [
        (column, line)
        for widget in _widgets()
        for column in range(widget["x"], widget["x"] + widget["width"])
        for line in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(column for column, _ in taken) < 24


def test_every_state_machine_has_an_alarm_of_executions_that_end_badly_in_any_way() -> None:
    watched = {
        (metric["Dimensions"][0]["Value"]["Ref"], metric["MetricName"])
        for alarm in resources(ALARMS).values()
        for part in alarm.get("Metrics", [])
        if (metric := part.get("MetricStat", {}).get("Metric", {})).get("Namespace") == "AWS/States"
    }
    # A verification is asked for by somebody, who sees how it ended; damage has an alarm of its own.
    machines = set(resources("AWS::Serverless::StateMachine")) - {"VerifyStateMachine"}
    ways = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")
    assert watched >= {(machine, way) for machine in machines for way in ways}

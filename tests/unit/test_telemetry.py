"""Log lines and metrics: which fields they carry, and for how long."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tidemark.adapters.system import Threads
from tidemark.telemetry import BYTES, COUNT, log_context, logger, measure, report_damage


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_context_is_on_every_line_until_its_block_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with log_context(tenant="a", shard=None):
        with log_context(tenant="b", shard=0):
            logger().info("inner")
        logger().info("outer")
    logger().info("after")
    seen = [(line["message"], line.get("tenant"), line.get("shard", "none")) for line in lines(capsys)]
    assert seen == [("inner", "b", 0), ("outer", "a", "none"), ("after", None, "none")]


def test_context_is_of_one_thread_alone(capsys: pytest.CaptureFixture[str]) -> None:
    both = Barrier(2)

    def work(tenant: str) -> None:
        with log_context(tenant=tenant):
            both.wait(timeout=10)
            logger().info(tenant)
            both.wait(timeout=10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["a", "b"]))
    assert sorted((line["message"], line["tenant"]) for line in lines(capsys)) == [("a", "a"), ("b", "b")]


def test_context_is_on_the_lines_of_calls_that_run_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    both = Barrier(2)

    def call(number: int) -> None:
        both.wait(timeout=10)
        with log_context(shard=number):
            logger().info("copied")

    with log_context(tenant="a"):
        Threads().map(call, range(2))
        logger().info("all")
    seen = [(line["message"], line["tenant"], line.get("shard")) for line in lines(capsys)]
    assert sorted(seen, key=str) == [("all", "a", None), ("copied", "a", 0), ("copied", "a", 1)]


def test_metrics_are_of_the_service_and_carry_properties_that_are_no_dimensions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure({"Restored": (1250, COUNT), "Stored": (2.5, BYTES)}, tenant="smartcity", restore_id=None)
    [line] = lines(capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "Tidemark",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "Restored", "Unit": "Count"}, {"Name": "Stored", "Unit": "Bytes"}],
    }
    assert (line["tenant"], line["Restored"], line["Stored"]) == ("smartcity", [1250.0], [2.5])
    assert "restore_id" not in line


def test_metrics_of_one_call_hold_nothing_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    measure({"First": (1, COUNT)}, tenant="a")
    measure({"Second": (1, COUNT)})
    second = lines(capsys)[1]
    assert not {"First", "tenant"} & second.keys()


def test_damage_is_logged_in_a_sentence_and_counted_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    report_damage(["pack a is missing", "pack b is missing"], tenant="acme")
    told: list[dict[str, Any]] = []
    counted: list[dict[str, Any]] = []
    for line in lines(capsys):
        (counted if "_aws" in line else told).append(line)
    assert [(line["level"], line["message"], line["tenant"]) for line in told] == [
        ("ERROR", "damaged: pack a is missing", "acme"),
        ("ERROR", "damaged: pack b is missing", "acme"),
    ]
    assert [line["VerificationFailed"] for line in counted] == [[1.0], [1.0]]

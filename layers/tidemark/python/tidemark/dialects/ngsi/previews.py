"""Previews of retention in the NGSIv2 vocabulary: what a policy would keep and forget now, and why."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tidemark.dialects.ngsi.parameters import members, page_wanted
from tidemark.dialects.ngsi.retention import DecisionBody, RetentionBody, parse_policy, policy_body, rows
from tidemark.dialects.ngsi.snapshots import ScheduleName
from tidemark.dialects.wire import Request
from tidemark.domain.retention import RetentionPolicy, Verdict
from tidemark.usecases.preview_retention import Preview

_Number = Annotated[int, Meta(ge=0)]


class VerdictCounts(msgspec.Struct, frozen=True):
    """How many snapshots the policy keeps, forgets, and does not concern."""

    keep: _Number
    forget: _Number
    leave: _Number


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a retention policy would do now. Nothing was deleted."""

    schedule_id: ScheduleName
    timezone: str
    retention: RetentionBody
    counts: VerdictCounts
    decisions: list[DecisionBody]


def parse_preview(document: object) -> RetentionPolicy | None:
    """The policy that a preview is to try; None: the schedule's own. Raises InvalidRequest."""
    said = members(document, ("retention",))
    return parse_policy(said["retention"]) if "retention" in said else None


def part_wanted(request: Request) -> slice:
    """Which decisions to show, by the query parameters `limit` and `offset`: all of them unless said. Raises
    InvalidRequest.
    """
    page = page_wanted(request)
    return slice(page.offset, page.offset + page.limit if "limit" in request.query else None)


def render(preview: Preview, part: slice) -> PreviewBody:
    """That part of the decisions, newest first. The counts are of all."""
    counts = preview.counts()
    return PreviewBody(
        schedule_id=preview.schedule.id,
        timezone=preview.schedule.timezone,
        retention=policy_body(preview.policy),
        counts=VerdictCounts(keep=counts[Verdict.KEEP], forget=counts[Verdict.FORGET], leave=counts[Verdict.LEAVE]),
        decisions=rows(preview.decisions[part], preview.shown),
    )

"""The phases of the transfer state machine, one module each.

Each can be repeated, run late, or run by an execution that was followed by another: then it changes nothing.
"""

from tidemark.usecases.transfer_phases.begin import Begun, begin
from tidemark.usecases.transfer_phases.copy import copy_packs
from tidemark.usecases.transfer_phases.end import abort
from tidemark.usecases.transfer_phases.export import merge_shard, publish
from tidemark.usecases.transfer_phases.imports import build_shard, sort_file
from tidemark.usecases.transfer_phases.seal import seal

__all__ = ["Begun", "abort", "begin", "build_shard", "copy_packs", "merge_shard", "publish", "seal", "sort_file"]

"""The phases of the transfer state machine, one module each.

Each can be repeated, run late, or run by an execution that was followed by another: then it changes nothing.
"""

from tidemark.usecases.transfer_phases.begin import Begun, begin
from tidemark.usecases.transfer_phases.copy import copy_packs
from tidemark.usecases.transfer_phases.lifecycle import abort
from tidemark.usecases.transfer_phases.seal import seal

__all__ = ["Begun", "abort", "begin", "copy_packs", "seal"]

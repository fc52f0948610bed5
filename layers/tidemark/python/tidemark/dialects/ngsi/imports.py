"""Imports in the NGSIv2 vocabulary: the body of the request, the answer with its addresses, and reading one entity."""

import re
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, UnsetType

from tidemark.dialects.ngsi.entities import DEFAULT_TYPE, encode, parse_entity
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.service_path import path_of
from tidemark.dialects.ngsi.snapshot_metadata import description_in
from tidemark.dialects.ngsi.snapshots import Milliseconds, SnapshotSummary, milliseconds, summary
from tidemark.dialects.ngsi.syntax import check_nesting
from tidemark.dialects.wire import or_unset
from tidemark.domain.keys import EntityKey
from tidemark.engine.live.writes import MAX_ENTITY_BYTES
from tidemark.engine.transfer.exports import FORMAT, FORMAT_VERSION
from tidemark.engine.transfer.plans import MAX_FILE_BYTES, MAX_FILES, MAX_PARTS, ImportFile
from tidemark.errors import EntityTooLarge, InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import ImportWanted, Opened

_MEMBERS: Final = ("description", "files", "sizeBytes", "manifest", "servicePath")
FILE_NAME: Final = "[A-Za-z0-9._ -]{1,200}"
SHA256: Final = "[0-9a-f]{64}"
_NAME: Final = re.compile(FILE_NAME)
_SHA256: Final = re.compile(SHA256)
_ONLY_FILE: Final = "upload"
_REGISTERED: Final = msgspec.json.Decoder(SnapshotSummary)


class UploadBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file that is to be uploaded: in parts of this size, the last one smaller, each by a PUT to its address. A part
    that has arrived has none.
    """

    name: str
    size_bytes: Annotated[int, Meta(ge=0)]
    part_size_bytes: Annotated[int, Meta(ge=1)]
    urls: list[str | None]


class OpenedImport(SnapshotSummary, frozen=True, kw_only=True):
    """The snapshot that waits for its files, and where to PUT each part of them until `expiresAt`."""

    expires_at: Milliseconds | UnsetType
    files: list[UploadBody]


def read_entity(document: object, path: str) -> tuple[EntityKey, str]:
    """The key and the canonical document of one entity, by the rules of `POST /v2/entities`.

    Raises InvalidRequest, NotSupported, EntityTooLarge.
    """
    check_nesting(document)
    given = parse_entity(document, key_values=False)
    key = EntityKey(DEFAULT_TYPE if given.type is None else given.type, given.id, path_of(path))
    doc = encode(key, given.attributes)
    if len(doc.encode()) > MAX_ENTITY_BYTES:
        raise EntityTooLarge(f"the entity has {len(doc.encode())} bytes of JSON; the limit is {MAX_ENTITY_BYTES}")
    return key, doc


def parse_import(document: object) -> ImportWanted:
    """The body of an import request. Raises InvalidRequest naming the member that is wrong."""
    wanted = members(document, _MEMBERS)
    given = [name for name in ("files", "sizeBytes", "manifest") if name in wanted]
    if len(given) != 1:
        raise InvalidRequest(
            "say what is to be imported with exactly one of 'sizeBytes' (of one file), 'files' and 'manifest' "
            f"(of an export); the body has {' and '.join(given) or 'none of them'}"
        )
    path = wanted.get("servicePath", "/")
    if not isinstance(path, str):
        raise InvalidRequest(f"the member 'servicePath' must be a string; it is {json_type(path)}")
    told = ImportWanted((), description_in(wanted), path_of(path))
    match given[0]:
        case "manifest":
            told = _of_manifest(wanted["manifest"], told)
        case "files":
            told = told._replace(files=_files("files", wanted["files"]))
        case _:
            told = told._replace(files=(ImportFile(_ONLY_FILE, _size("sizeBytes", wanted["sizeBytes"])),))
    parts = sum(file.parts for file in told.files)
    if parts > MAX_PARTS:
        raise InvalidRequest(f"the files have {parts} parts; at most {MAX_PARTS} can be uploaded: make fewer files")
    return told


def registered(body: str) -> SnapshotSummary:
    """What was said of an import when it was registered."""
    return _REGISTERED.decode(body)


def render(ports: Ports, opened: Opened, expires_s: int, told: SnapshotSummary | None = None) -> OpenedImport:
    """The snapshot that waits for its files, as it is or was `told`, and where to PUT what has not arrived of them."""
    members_told = msgspec.structs.asdict(told or summary(opened.snapshot))
    members_told["expires_at"] = or_unset(milliseconds(ports.clock.now() + timedelta(seconds=expires_s)))
    files = [
        UploadBody(
            name=file.name,
            size_bytes=file.size_bytes,
            part_size_bytes=file.part_bytes,
            urls=opened.upload_urls(ports, number, expires_s),
        )
        for number, file in enumerate(opened.files)
    ]
    return OpenedImport(**members_told, files=files)


def _of_manifest(manifest: object, told: ImportWanted) -> ImportWanted:
    if not isinstance(manifest, dict):
        raise InvalidRequest(f"the member 'manifest' must be an object; it is {json_type(manifest)}")
    if manifest.get("format") != FORMAT:
        raise InvalidRequest(f"the manifest is not of an export: its 'format' must be {FORMAT!r}")
    # JSON's true is Python's 1.
    if manifest.get("version") != FORMAT_VERSION or manifest["version"] is True:
        given = str(manifest.get("version"))[:40]
        raise InvalidRequest(f"the manifest has format version {given}; this release reads version {FORMAT_VERSION}")
    digest = manifest.get("digest")
    if not isinstance(digest, str) or _SHA256.fullmatch(digest) is None:
        raise InvalidRequest("the member 'digest' of the manifest must be 64 hexadecimal digits")
    records = _number("records", manifest.get("records"))
    files = _files("parts", manifest.get("parts"))
    parts = _number("partCount", manifest.get("partCount", len(files)))
    if (parts, sum(file.records or 0 for file in files)) != (len(files), records):
        raise InvalidRequest("the manifest does not have all parts of its export: put the pages of 'parts' together")
    return told._replace(files=files, records=records, digest=digest)


def _files(member: str, given: object) -> tuple[ImportFile, ...]:
    if not isinstance(given, list) or len(given) > MAX_FILES or (not given and member == "files"):
        raise InvalidRequest(f"the member {member!r} must be an array of at most {MAX_FILES} files")
    return tuple(_file(f"{member}[{number}]", one, number) for number, one in enumerate(given))


def _file(where: str, given: object, number: int) -> ImportFile:
    if not isinstance(given, dict):
        raise InvalidRequest(f"the member {where!r} must be an object; it is {json_type(given)}")
    name, sha256, records = given.get("name", f"file-{number}"), given.get("sha256"), given.get("records")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidRequest(f"'{where}.name' must be 1 to 200 letters, digits, spaces, dots, hyphens and underscores")
    if sha256 is not None and (not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None):
        raise InvalidRequest(f"'{where}.sha256' must be 64 hexadecimal digits")
    return ImportFile(
        name,
        _size(f"{where}.sizeBytes", given.get("sizeBytes")),
        sha256,
        None if records is None else _number(f"{where}.records", records),
    )


def _size(where: str, given: object) -> int:
    size = _number(where, given)
    if size > MAX_FILE_BYTES:
        raise InvalidRequest(
            f"'{where}' is {size}; a file can have at most {MAX_FILE_BYTES} bytes: cut it into several"
        )
    return size


def _number(where: str, given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidRequest(f"{where!r} must be a whole number from 0 on")
    return given

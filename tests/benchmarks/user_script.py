"""What a user would write: page through the broker, dump to gzip; load it, and post it in batches.

Usage: python -m tests.benchmarks.user_script save|load URL FILE.
"""

import gzip
import json
import sys
from typing import Any
from urllib.request import Request, urlopen

LIMIT = 1000


def save(url: str, path: str) -> None:
    entities: list[Any] = []
    while True:
        with urlopen(f"{url}/v2/entities?limit={LIMIT}&offset={len(entities)}") as answer:
            page = json.load(answer)
        if not page:
            break
        entities.extend(page)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(entities, file)


def load(url: str, path: str) -> None:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        entities = json.load(file)
    for start in range(0, len(entities), LIMIT):
        body = {"actionType": "append", "entities": entities[start : start + LIMIT]}
        request = Request(
            f"{url}/v2/op/update", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urlopen(request):
            pass


if __name__ == "__main__":
    {"save": save, "load": load}[sys.argv[1]](sys.argv[2], sys.argv[3])

"""A local stack in a process of its own, for tests to talk to: one JSON document a line in, one out.

A process of its own leaves the tests' process free for stacks in it, and gives clients and servers a core each. It
ends when its standard input does, that is, also when the tests are killed.
"""

import contextlib
import json
import sys
from typing import Any

from tests.local.keys import seed_key
from tests.local.sam_api import sam_front
from tests.local.stack import TEMPLATE, LocalStack


def main() -> None:
    """Serve a stack as the first line says, then answer lines until they end."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # so that nothing else is mistaken for an answer
    wanted = json.loads(sys.stdin.readline())
    with (
        LocalStack.serve(parameters=wanted["parameters"], wait_scale=0.2, elsewhere=wanted["elsewhere"]) as stack,
        contextlib.ExitStack() as fronts,
    ):

        def answer(document: Any) -> None:
            print(json.dumps(document), file=answers, flush=True)

        for sentence in stack.deployment.passed_over:
            sys.stderr.write(f"passed over: {sentence}\n")
        ids = {name: str(physical) for name, physical in stack.deployment.physical_ids.items()}
        answer({"url": stack.url, "awsUrl": stack.aws.endpoint_url, "outputs": stack.outputs, "ids": ids})
        for line in sys.stdin:
            match json.loads(line):
                case {"want": "key", "tenants": tenants, "environments": environments, "actions": actions}:
                    secret = seed_key(stack, tenants=tenants, environments=environments, actions=actions, name="tests")
                    answer({"key": secret})
                case {"want": "sam"}:
                    answer({"url": fronts.enter_context(sam_front(stack, TEMPLATE))})
                case {"want": "log"}:
                    answer({"lines": stack.log_lines()})
                case unknown:
                    raise ValueError(f"nobody knows how to answer {unknown}")


if __name__ == "__main__":
    main()

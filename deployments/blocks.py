"""Creates or updates the block documents of a file: `python -m deployments.blocks FILE.yaml`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deployments.block_file import BlockDocument, load
from tasks.model.errors import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Save every document of the file. If the file has a mistake, none is saved.

    Returns an exit code: 2 for a mistake, 1 if the server fails; the documents before the failure are saved. Errors are
    written to stderr, one line for each problem. May be called again.
    """
    if len(arguments) != 1:
        print("usage: python -m deployments.blocks FILE.yaml", file=sys.stderr)
        return 2
    try:
        for document in load(Path(arguments[0]), os.environ):
            print(f"{document.type_slug}/{document.name} {_save(document)}")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        reason = type(error).__name__
        print(
            f"The Prefect server did not save the block ({reason}): check PREFECT_API_URL and the server.",
            file=sys.stderr,
        )
        return 1
    return 0


def _save(document: BlockDocument) -> str:
    """Save the document, and return whether it was created or updated. A field that the file does not contain gets its
    default value."""
    with get_client(sync_client=True) as client:
        try:
            client.read_block_document_by_name(document.name, document.type_slug, include_secrets=False)
            done = "updated"
        except ObjectNotFound:
            done = "created"
    document.block.save(document.name, overwrite=True)
    return done


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Creates or updates the block documents of a file: `python deployments/blocks.py FILE.yaml`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a file, this folder would be searched first, where `blocks` is this very file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deployments.block_file import BlockDocument, load
from tasks.model.errors import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Nothing is written unless the whole file is right. Returns an exit code; an error is one sentence a line."""
    if len(arguments) != 1:
        print("usage: python deployments/blocks.py FILE.yaml", file=sys.stderr)
        return 2
    try:
        for document in load(Path(arguments[0]), os.environ):
            print(f"{document.type_slug}/{document.name} {_save(document)}")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        print(f"Prefect's server did not take it ({type(error).__name__}): is PREFECT_API_URL right?", file=sys.stderr)
        return 1
    return 0


def _save(document: BlockDocument) -> str:
    """What became of it. A field that the file does not have gets its default, whatever was there before."""
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

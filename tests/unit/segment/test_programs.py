"""Objects open without this program: `zstd`, `lz4` and Kafka's own log dump."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import KAFKA_VERSION
from tests.support.kafka_jars import dump_log_tool, run_tool
from tests.unit.segment.objects import COMPRESSIONS, Written, batches, packed_object, segment, write_object

PROGRAMS = {"zstd": "zstd", "none": "zstd", "lz4": "lz4"}


def _run(program: str, *arguments: str, data: bytes) -> bytes:
    if shutil.which(program) is None:
        pytest.fail(f"the program {program} is missing: install it (Debian: apt-get install zstd lz4)", pytrace=False)
    done = subprocess.run([program, *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _objects(compression: str) -> list[Written]:
    single = [(segment(0, 0, 6000, frames=2), [batches(0, 1000), batches(3000, 1000)])]
    return [
        write_object(single, compression=compression),
        write_object(single, compression=compression, precompressed=True),
        packed_object(compression, partitions=400),
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_usual_program_gives_exactly_the_log(compression: str) -> None:
    for written in _objects(compression):
        assert written.log == _run(PROGRAMS[compression], "-d", "-c", data=written.data)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_usual_program_finds_the_object_in_order_and_damage_in_it(compression: str) -> None:
    for written in _objects(compression):
        _run(PROGRAMS[compression], "-t", data=written.data)
    damaged = bytearray(written.data)
    damaged[written.places[1].position + written.places[1].stored_bytes - 2] ^= 1  # in the frame's checksum
    done = subprocess.run([PROGRAMS[compression], "-t"], input=damaged, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.kafka
def test_kafkas_log_dump_reads_what_zstd_gives(tmp_path: Path) -> None:
    written = write_object([(segment(0, 0, 30, frames=2), [batches(0, 5), batches(15, 5)])], compression="zstd")
    log = tmp_path / "00000000000000000000.log"
    log.write_bytes(_run("zstd", "-d", "-c", data=written.data))
    dump = run_tool(
        KAFKA_VERSION,
        dump_log_tool(KAFKA_VERSION),
        "--deep-iteration",
        "--print-data-log",
        "--files",
        str(log),
    )
    assert list(range(30)) == [int(offset) for offset in re.findall(r"^\| offset: (\d+)", dump, re.MULTILINE)]
    assert "isvalid: false" not in dump

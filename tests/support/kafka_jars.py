"""Downloads Apache Kafka's jars from Maven Central once into `.kafka/libs-{version}`, and runs Kafka's tools."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("kafka_pom.xml")
SHORT_LIVED_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""A JVM that starts with a third less CPU time, and never becomes as fast as it could."""


class MissingToolError(Exception):
    """A program that a throwaway Kafka needs is not installed. The message says what to install."""


class KafkaStartError(Exception):
    """Kafka, or one of its tools, failed. The message ends with the last lines of its output."""


def require_tools(version: str) -> None:
    """Raise `MissingToolError` if Java is not installed, or Maven although the jars of `version` have to be
    downloaded."""
    needed = ["java"] if jars_folder(version).is_dir() else ["java", "mvn"]
    missing = [tool for tool in needed if shutil.which(tool) is None]
    if missing:
        raise MissingToolError(
            f"A throwaway Kafka needs {' and '.join(missing)}. Install what is missing "
            "(Debian: apt-get install openjdk-17-jre-headless maven)."
        )


def jars_folder(version: str) -> Path:
    """The folder with the jars of this version. `fetch_jars` creates it."""
    return ROOT / ".kafka" / f"libs-{version}"


def fetch_jars(version: str) -> Path:
    """The folder with the jars of `version`, downloaded if necessary. Parallel callers wait for one download."""
    require_tools(version)
    folder = jars_folder(version)
    folder.parent.mkdir(exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download(version, folder)
    return folder


def _download(version: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.part-") as part:
        target = Path(part) / "libs"
        command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies"]
        _run([*command, f"-Dkafka.version={version}", f"-DoutputDirectory={target}"], timeout_s=600)
        os.rename(target, folder)  # last, so that a folder of this name is always complete


def dump_log_tool(version: str) -> str:
    """The main class of Kafka's tool that reads log files. It has another package since Kafka 4."""
    return f"{'kafka' if version.startswith('3.') else 'org.apache.kafka'}.tools.DumpLogSegments"


def run_tool(version: str, main_class: str, *arguments: str, jvm_options: Sequence[str] = ()) -> str:
    """Run one of Kafka's command-line classes and return its output. Raises `KafkaStartError` if it fails."""
    java = [*java_command(version), *SHORT_LIVED_JVM, "-Xmx256m", *jvm_options]
    return _run([*java, main_class, *arguments], timeout_s=120)


def java_command(version: str) -> list[str]:
    """`java` with the class path of this version. The caller appends options, the main class and its arguments."""
    log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", "-cp", f"{fetch_jars(version)}/*", "-Djava.net.preferIPv4Stack=true", log_level]


def _run(command: list[str], *, timeout_s: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise KafkaStartError(f"{command[0]} ended with status {done.returncode}:\n{tail}")
    return done.stdout

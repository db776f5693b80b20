"""Identities on Azurite over TLS, with tokens of a double of Microsoft Entra: who gets in, what a refusal says, and
that tokens are renewed. Also SAS tokens and connection strings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.model.errors import AccessError, StoreUnavailableError
from tasks.store.azure.azure_store import AzureStore
from tests.support.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from tests.support.certificates import Authority
from tests.support.entra import CLIENT, FEDERATED_TOKEN, SECRET, TENANT, Entra
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log
from tests.support.store_cases import AzureCase
from tests.support.store_shell import StoreShell

pytestmark = pytest.mark.azurite


@pytest.fixture
def entra(azurite_tls: Azurite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Entra]:
    """The double, which this process and its commands trust, as they trust Azurite."""
    authority = Authority(tmp_path / "entra", "entra-authority")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(azurite_tls.trusted.read_bytes() + authority.ca.read_bytes())
    with Entra(authority) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", running.url)
        yield running


@pytest.fixture
def shell(tmp_path: Path) -> StoreShell:
    return StoreShell(tmp_path, secrets=(SECRET, FEDERATED_TOKEN, "marker"))


@pytest.fixture
def container(azurite_tls: Azurite) -> str:
    """A container with one small backup set."""
    name = azurite_tls.new_container()
    case = AzureCase(azurite_tls)
    back_up(make_repository(case.open(name, "team")), [plain_log("orders", batches=1)])
    return name


@pytest.mark.parametrize("is_sas", [False, True])
def test_a_connection_string_serves_and_is_not_shown(
    shell: StoreShell, azurite_tls: Azurite, container: str, is_sas: bool
) -> None:
    secret = azurite_tls.sas(container, "rwl") if is_sas else ACCOUNT_KEY
    own = f"SharedAccessSignature={secret}" if is_sas else f"AccountName={ACCOUNT};AccountKey={secret}"
    text = f"BlobEndpoint={azurite_tls.endpoint};{own}"
    section = AzureCase(azurite_tls).section(
        container, account_name=None, account_key=None, endpoint=None, connection_string=text
    )

    done = shell.run("list -v", section)

    assert f"{SET}@1" in done.stdout
    for hidden in (secret, secret.partition("sig=")[2] or secret):
        assert hidden not in done.stdout + done.stderr


APPLICATION = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}


def test_an_application_with_a_secret_gets_in(
    shell: StoreShell, azurite_tls: Azurite, entra: Entra, container: str
) -> None:
    section = AzureCase(azurite_tls).section(container, account_key=None, **APPLICATION)
    done = shell.run("list -v", section)
    assert f"{SET}@1" in done.stdout
    assert "marker" not in done.stdout + done.stderr


def test_the_workload_identity_of_a_pod_gets_in(
    shell: StoreShell, azurite_tls: Azurite, entra: Entra, container: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(FEDERATED_TOKEN)
    section = AzureCase(azurite_tls).section(container, account_key=None, use_workload_identity=True)
    variables = {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_FEDERATED_TOKEN_FILE": str(token),
    }
    assert f"{SET}@1" in shell.run("list", section, **variables).stdout
    said = shell.sentence(section, 2)
    assert said.startswith("The workload identity is incomplete: set tenant_id and client_id or AZURE_TENANT_ID and")


def test_credentials_of_the_environment_serve(
    shell: StoreShell, azurite_tls: Azurite, entra: Entra, container: str
) -> None:
    section = AzureCase(azurite_tls).section(container, account_key=None)
    variables = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
    assert f"{SET}@1" in shell.run("list", section, **variables).stdout


@pytest.mark.parametrize("command", ["list", "list -v", "backup"])
def test_a_refused_secret_ends_with_12_at_once_and_is_not_shown(
    shell: StoreShell, azurite_tls: Azurite, entra: Entra, container: str, command: str
) -> None:
    section = AzureCase(azurite_tls).section(
        container, account_key=None, **{**APPLICATION, "client_secret": "old-marker"}
    )
    done = shell.run(command, section, 12)
    assert "is refused (AADSTS7000222): check client_id, tenant_id and its secret or federation" in done.stderr
    assert "marker" not in done.stdout + done.stderr


def test_tokens_are_renewed_while_a_store_is_open(azurite_tls: Azurite, entra: Entra, container: str) -> None:
    entra.lifetime_s = 2  # azure-core renews a token that ends within minutes before each request
    store = AzureStore(azurite_tls.settings(container, account_key=None, **APPLICATION))
    for number in range(3):
        store.put("heads/a", [str(number).encode()])
    assert b"2" == store.get("heads/a")[0]
    assert entra.issued >= 3
    store.close()
    store.close()


def test_a_token_endpoint_that_is_away_is_a_temporary_failure(
    azurite_tls: Azurite, entra: Entra, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://127.0.0.1:1")
    store = AzureStore(azurite_tls.settings(container, account_key=None, **APPLICATION))
    with pytest.raises(StoreUnavailableError, match=f"^No token for az://{ACCOUNT}/{container} .*connection refused"):
        store.get("a")


def test_a_machine_without_a_managed_identity_says_so(azurite_tls: Azurite, container: str) -> None:
    store = AzureStore(azurite_tls.settings(container, account_key=None, client_id=CLIENT))
    with pytest.raises(AccessError, match=f"this machine has no managed identity {CLIENT}"):
        store.get("a")

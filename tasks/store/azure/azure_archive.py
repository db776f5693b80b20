"""The archived blobs of a container: reads their state from properties, and asks for them (Set Blob Tier)."""

from __future__ import annotations

from azure.storage.blob import BlobProperties, RehydratePriority, StandardBlobTier

from tasks.model.errors import UnsupportedError
from tasks.store.archive import RetrievalTier
from tasks.store.azure.requests import AzureRequests
from tasks.store.azure.settings import AzureSettings
from tasks.store.keys import check_key
from tasks.store.protocol import ArchiveInfo

_PRIORITIES = {"Standard": RehydratePriority.STANDARD, "Expedited": RehydratePriority.HIGH}


class AzureArchive:
    """The archived blobs under the prefix of the settings. Does not retry."""

    def __init__(self, settings: AzureSettings) -> None:
        """Sends no request to Azure. Raises what `open_client` raises."""
        self._settings = settings
        self._requests = AzureRequests(settings)

    def bring_back(self, key: str, *, days: int | None, tier: RetrievalTier) -> None:
        """See the protocol. A blob that is back stays in the tier Hot, whatever `days` is, because Azure has no copies
        that end. Raises `UnsupportedError` for the tier `Bulk`, which Azure does not have."""
        if tier not in _PRIORITIES:
            raise UnsupportedError(f"Azure has no retrieval tier {tier}: use {' or '.join(_PRIORITIES)}.")
        blob = self._requests.client.get_blob_client(self._settings.root + check_key(key))
        with self._requests.request("GetBlobProperties", key):
            info = archive_info(blob.get_blob_properties(**self._requests.timeouts))
        if info is None or info.state == "returning":
            return
        with self._requests.request("SetBlobTier", key, is_write=True):
            blob.set_standard_blob_tier(
                StandardBlobTier.HOT, rehydrate_priority=_PRIORITIES[tier], **self._requests.timeouts
            )

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self._requests.close()


def archive_info(properties: BlobProperties) -> ArchiveInfo | None:
    """The archive of a blob. None if it can be read at once. On its way back the blob is still in the archive, and
    Azure names the tier to which it returns."""
    tier = str(properties.blob_tier or "")
    if tier != StandardBlobTier.ARCHIVE.value:
        return None
    is_returning = str(properties.archive_status or "").startswith("rehydrate-pending")
    return ArchiveInfo(storage_class=tier, state="returning" if is_returning else "archived")

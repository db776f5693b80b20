"""The backend `gcs`: Google Cloud Storage.

`settings.py` does not import the SDK. `gcs_store.py` is the adapter; it uses the client of `client.py`, whose
credentials come from `credentials.py`, and the request bodies of `upload.py`. `translation.py` turns every exception of
the SDK into an error of `tasks.model.errors`, with the rules of `error_responses.py` and `sdk_errors.py`.
"""

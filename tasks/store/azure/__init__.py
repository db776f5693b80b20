"""The backend `azure`: a container of Azure Blob Storage.

`settings.py` does not import the SDK. `azure_store.py` is the adapter; it sends its requests through `requests.py`,
which uses the client of `client.py`, with the credential of `credentials.py` and the connections of `transport.py`.
`translation.py` turns every exception of the SDK into an error of `tasks.model.errors`, with the rules of
`error_responses.py` and `sdk_errors.py`.
"""

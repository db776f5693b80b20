"""The backend `s3`: Amazon S3, and stores that speak its protocol and keep its write conditions.

`settings.py` does not import boto3. `s3_store.py` is the adapter; it uses the client of `client.py`. `translation.py`
turns every exception of boto3 into an error of `tasks.model.errors`, with the rules of `error_responses.py` and
`boto3_errors.py`.
"""

"""The protection of connections: its settings, TLS, SASL and OAuth tokens.

`security` has the settings, which configuration files, Prefect blocks and connections share. `tls` makes contexts,
performs handshakes and explains failed ones. `certificates` and `pem_files` examine the files and the certificates.
`sasl` authenticates a connection and renews its session, `tokens` obtains OAuth tokens. `lifetimes` reports when
certificates and tokens end.

Promises: a missing setting and a setting that would not be used are errors. Certificate files are read for each new
connection, so renewed files are used; a token file is read for each authentication.

Must never: show a secret or a token in a repr, an error or a log line; connect without verifying certificate and host
name; continue with less protection than the configuration says.
"""

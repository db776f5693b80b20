"""How connections are protected: the values, TLS, SASL and OAuth tokens.

`security` is the value that files, blocks and connections share. `tls` makes contexts and explains failed handshakes,
`sasl` authenticates a connection and renews its session, `tokens` obtains OAuth tokens.

Promises: a missing value and a value that would not be used are errors. Certificate files are read for each new
connection, so renewed ones are used; a token file is read for each authentication.

Must never: show a secret or a token in a repr, an error or a log line; connect without verifying certificate and host
name; continue with less protection than the configuration says.
"""

"""How connections are protected: the values, TLS, SASL and OAuth tokens.

`security` is the value that files, blocks and both sides share. `tls` makes contexts and explains failed handshakes,
`sasl` authenticates a raw connection and renews its session, `tokens` obtains OAuth tokens. librdkafka gets the same
values from `admin.client_settings`.

Promises: both sides connect with the same protection. A missing value and a value that would not be used are errors.
The raw side reads certificate files for each new connection, so it uses renewed ones; librdkafka reads them once per
client. Both sides read a token file for each authentication.

Must never: show a secret or a token in a repr, an error or a log line; connect without verifying certificate and host
name; continue with less protection than the configuration says.
"""

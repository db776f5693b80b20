"""Evidence of a restore drill: a report for auditors, as canonical JSON in a signed envelope and as a page of HTML.

`report` contains the documents, `build_report` makes them from a drill's result and an `EvidenceContext`. `canonical`
makes the bytes, `dsse` and `signing_keys` sign and verify them, `report_page` and `charts` draw the page.
`stored_reports` reads the reports of a repository, `store_evidence` writes one, and `register` lists the last drill of
each topic.

Promises: a field that could not be established is there and contains the reason. The bytes of a report are stored once
and never changed. A name with any characters does not change the elements of the page.

Never: guess a field, connect to a cluster, or read a key from a file.
"""

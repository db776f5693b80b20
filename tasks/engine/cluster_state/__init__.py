"""The state of a cluster beyond its records: what a point contains of it, and what a cluster has now.

A picture contains topics with their own settings, positions of groups, ACLs, quotas and users. A section that was not
captured, or that cannot be read, is None and has a reason: it is never shown as empty. The comparison is pure. This
package changes no cluster and no repository.
"""

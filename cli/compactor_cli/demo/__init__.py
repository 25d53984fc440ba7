"""The demo: a store on loopback, a real writer, a compaction on Ray, and a proof by a reader that is not ours.

Needs the extra `demo` (moto). Nothing outside this package uses it; nothing of it touches any store but its own.
"""

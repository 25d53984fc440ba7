"""The nouns of the project (see docs/design.md, glossary): frozen values without I/O, columnar where there is one row a file.

Nothing here imports anything of ours but its own siblings.
"""

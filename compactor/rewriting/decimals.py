"""In which form outputs keep decimals of up to 18 digits: as whole numbers, which readers decode fastest and most writers leave, or as
bytes, where the largest row groups that would be copied are so. Only that one footer is read, before a group is begun.

Only chooses a form: pages of the other one are converted, or decoded. A column has one form in all row groups of a file.
"""

from __future__ import annotations

from dataclasses import replace

from compactor.errors import StorageError
from compactor.model.rewrite import RewriteJob, RewriteTask
from compactor.rewriting.footer import footer_bytes
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.verdicts import Verdicts, against_footer, forms
from compactor.storage.base import ObjectStore


def settled(job: RewriteJob, task: RewriteTask, store: ObjectStore) -> tuple[RewriteJob, int]:
    """The job with the form that the outputs of a task have, and how many requests that took. Never raises for a file: whoever reads it
    says what is wrong."""
    found = forms(job.read, job.write)
    least = {"auto": job.engine.copied_bytes, "stitch": 0}.get(job.engine.mode)
    if len(found) == 1 or least is None:
        return job, 0
    copied = [file for file in task.inputs if file.deletes is None and file.size_bytes >= max(1, least)]
    if not copied:
        return job, 0
    largest = max(copied, key=lambda file: file.size_bytes)
    try:
        footer, requests = footer_bytes(store, largest.key, largest.size_bytes)
    except (FileProblem, StorageError):
        return job, 1
    against = against_footer(footer, largest.size_bytes, [Verdicts(job.read, form) for form in found])
    fitting = (form for form, code in zip(found, against, strict=True) if code is None)
    return replace(job, write=next(fitting, job.write)), requests

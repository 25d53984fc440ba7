"""What `doctor --json` and `vacuum --json` print. The fields are documented in docs/cli.md."""

from __future__ import annotations

from dataclasses import asdict

from compactor.maintenance.installation import Installation
from compactor.model.findings import DOCTOR_FORMAT_VERSION, Diagnosis, Finding
from compactor.model.vacuum import VACUUM_FORMAT_VERSION, Vacuumed


def finding_object(finding: Finding) -> dict[str, object]:
    """One finding."""
    body = {**asdict(finding), "kind": finding.kind.value, "files": list(finding.files), "related": list(finding.related)}
    return {"format_version": DOCTOR_FORMAT_VERSION, "finding": body.pop("kind"), "damage": finding.is_damage, **body}


def diagnosis_object(found: Diagnosis) -> dict[str, object]:
    """The end of an examination."""
    body = {**asdict(found), "findings": len(found.findings), "damaged": found.exit_code != 0, "exit_code": found.exit_code}
    return {"format_version": DOCTOR_FORMAT_VERSION, "finding": None, **body}


def installation_object(found: Installation) -> dict[str, object]:
    """This installation."""
    return {"format_version": DOCTOR_FORMAT_VERSION, **asdict(found), "executors": list(found.executors)}


def vacuum_object(found: Vacuumed) -> dict[str, object]:
    """One vacuum."""
    return {"format_version": VACUUM_FORMAT_VERSION, **asdict(found), "paths": list(found.paths), "files": len(found.paths)}

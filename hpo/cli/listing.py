"""`hpo list`."""

from __future__ import annotations

from hpo.cli.options import Json, Storage

__all__ = ["list_studies"]


def list_studies(storage: Storage = None, as_json: Json = False) -> None:
    """The studies of a storage."""
    from hpo.storage import open_storage
    from hpo.store import study_names
    from hpo.study import Study
    from hpo.summary import summary
    from scaling.terminal import echo_json, table

    opened = open_storage(storage, must_exist=True)
    found = [summary(Study(opened, name)) for name in study_names(opened)]
    if as_json:
        echo_json(found)
        return
    rows = []
    for entry in found:
        runs = sum(sum(part["runs"].values()) for part in entry["scales"])
        rows.append(
            (
                entry["name"],
                len(entry["scales"]),
                runs,
                entry["metric"],
                "opened" if entry["openings"] else "sealed",
            )
        )
    table("Studies", ("name", "scales", "runs", "metric", "testing seeds"), rows)

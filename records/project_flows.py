"""This project's flows, as Prefect records them."""

FLOW_NAMES = (
    "protect-snapshots",
    "audit-snapshot-protection",
    "protect-on-workers",
    "unprotect-snapshots",
    "prune-snapshots",
)


def is_project_entrypoint(entrypoint: str | None) -> bool:
    """Return whether a deployment's entrypoint is a flow of this project, as a module or as a file.

    Others may have flows of the same names, and a package `flows`.
    """
    path, is_file, function = (entrypoint or "").rpartition(".py:")
    for name in (flow.replace("-", "_") for flow in FLOW_NAMES):
        if is_file and f"/{path}".endswith(f"/flows/{name}") and function == name:
            return True
        if entrypoint == f"flows.{name}.{name}":
            return True
    return False

"""The command `deploy`."""

import sys

from cli.endings import exit_status_of


def deploy(*, recreate_automation: bool = False) -> int:
    """Put the deployments on the Prefect server at PREFECT_API_URL.

    Args:
        recreate_automation: create the automation again if it was deleted
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.prefect_server import ensure_server
        from deploy.__main__ import INTERRUPTED, main

        ensure_server(start=False)
        try:
            main(recreate_automation=recreate_automation)
        except KeyboardInterrupt as error:
            print(INTERRUPTED, file=sys.stderr)
            return exit_status_of(error)
    return 0

"""The command `deploy`."""


def deploy(*, recreate_automation: bool = False) -> None:
    """Put the deployments on the Prefect server at PREFECT_API_URL.

    Args:
        recreate_automation: create the automation again if it was deleted
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.prefect_server import ensure_server
        from deploy.__main__ import main

        ensure_server(start=False)
        main(recreate_automation=recreate_automation)

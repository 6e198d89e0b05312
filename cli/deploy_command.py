"""The command `deploy`."""


def deploy(*, recreate_automation: bool = False) -> None:
    """Put the deployments on the Prefect server at PREFECT_API_URL.

    Args:
        recreate_automation: create the automation again if it was deleted
    """
    from deploy.__main__ import main

    main(recreate_automation=recreate_automation)

"""The command group `notifications`."""

from cyclopts import App

from cli.help_examples import EXAMPLES

notifications = App(name="notifications", help="Send what audits and runs report to a notification block.")


@notifications.command(name="set", help_epilogue=EXAMPLES["notifications set"])
def set_block(block: str, /) -> int:
    """Create or update all automations: those that send, all to one block, and those that mark dead runs.

    Prints what it did with each. Whether one that exists is enabled stays as it is.

    Args:
        block: the notification block, as type/name; `prefect block ls` lists them
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.notifications import set_notifications
        from cli.prefect_server import ensure_server

        ensure_server(start=False)
        return set_notifications(block)


@notifications.command(name="list", help_epilogue=EXAMPLES["notifications list"])
def list_() -> int:
    """Show which automations exist, are enabled, and where they send to.

    Exit status 0 only if all exist and are enabled.
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.notifications import list_notifications
        from cli.prefect_server import ensure_server

        ensure_server(start=False)
        return list_notifications()


@notifications.command(name="test", help_epilogue=EXAMPLES["notifications test"])
def send_test(block: str = "", /) -> int:
    """Send one notification from this machine.

    Args:
        block: the block, as type/name; without it: each that the automations send to
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.notifications import send_test_notifications
        from cli.prefect_server import ensure_server

        ensure_server(start=False)
        return send_test_notifications(block)


@notifications.command(help_epilogue=EXAMPLES["notifications remove"])
def remove() -> int:
    """Delete the automations; the notification block stays."""
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.notifications import remove_notifications
        from cli.prefect_server import ensure_server

        ensure_server(start=False)
        return remove_notifications()

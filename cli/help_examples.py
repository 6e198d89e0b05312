"""The examples below the help of the commands."""


def _examples(*lines: str) -> str:
    return "\n".join(["Examples:", *(f"  hetzner-snapshots {line}" for line in lines)])


EXAMPLES = {
    "protect": _examples(
        "protect --dry-run",
        "protect --project prod --project staging",
        "protect --label-selector env=prod --json",
    ),
    "audit": _examples("audit", "audit --fail-on-unprotected --grace-hours 24", "audit --json > audit.json"),
    "unprotect": _examples(
        'unprotect 100000001 --project prod --reason "moved to fsn1"',
        'unprotect 1 2 --project prod --reason "moved to fsn1" --hours 2',
    ),
    "prune": _examples("prune --project prod", "prune --project prod --apply", "prune --json"),
    "deploy": _examples("deploy", "deploy --recreate-automation"),
    "demo": _examples("demo"),
    "playground": _examples("playground --port 4300"),
    "policy save": _examples("policy save default policy.yaml", "policy save default policy.yaml --replace"),
    "policy show": _examples("policy show", "policy show default --project prod --json"),
    "policy check": _examples("policy check policy.yaml", "policy check policy.yaml --offline"),
    "credentials save": _examples("credentials save prod", "credentials save prod --replace"),
    "credentials import": _examples(
        "credentials import tokens.txt",
        "credentials import - < tokens.txt",
        "credentials import tokens.txt --json",
    )
    + "\n\nThe file has a line for each project: prod=TOKEN. Blank lines and comments (#) are skipped.",
    "credentials list": _examples("credentials list", "credentials list --json"),
    "credentials check": _examples("credentials check", "credentials check prod staging"),
    "credentials delete": _examples("credentials delete prod", "credentials delete prod --yes"),
    "notifications set": _examples("notifications set slack-webhook/alerts"),
    "notifications list": _examples("notifications list"),
    "notifications test": _examples("notifications test", "notifications test slack-webhook/alerts"),
    "notifications remove": _examples("notifications remove"),
}

# The worker's image, also used to deploy: the flows, on the official Prefect image of the supported minor.
# Everything that a run needs beyond this project's own code is in that image.
ARG PREFECT_IMAGE=docker.io/prefecthq/prefect:3.9.1-python3.13
FROM ${PREFECT_IMAGE}

WORKDIR /opt/hetzner-snapshot-protection
COPY blocks blocks
COPY cli cli
COPY deploy deploy
COPY flows flows
COPY hetzner_cloud hetzner_cloud
COPY playground playground
COPY records records
COPY reporting reporting
COPY sandbox sandbox
COPY snapshot_protection snapshot_protection
COPY tasks tasks
COPY LICENSE prefect.yaml pyproject.toml ./

ENV PYTHONPATH=/opt/hetzner-snapshot-protection
# The command, and a check at build time that the image can load it and every flow.
RUN printf '#!/bin/sh\nexec python -m cli "$@"\n' > /usr/local/bin/hetzner-snapshots \
 && chmod 755 /usr/local/bin/hetzner-snapshots \
 && hetzner-snapshots --help > /dev/null \
 && python -c 'import flows.audit_snapshot_protection, flows.protect_on_workers, flows.protect_snapshots, flows.prune_snapshots, flows.unprotect_snapshots'

# Prefect stores its profile and its runs' files in the home of this user.
RUN useradd --no-log-init --create-home --home-dir /var/lib/prefect --uid 10001 prefect
USER prefect
ENV PREFECT_HOME=/var/lib/prefect

ENTRYPOINT []
CMD ["prefect", "worker", "start", "--pool", "hetzner-cloud", "--limit", "5"]

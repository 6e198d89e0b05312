"""The smallest flow that loads a credentials block and sends one request."""

import asyncio

import httpx
from prefect import flow

from benchmarks.contenders.job import run_job
from blocks.credentials import HetznerCloudCredentials


@flow
async def send_one_request(project: str) -> None:
    """Send one request."""
    credentials: HetznerCloudCredentials = await HetznerCloudCredentials.aload(project)
    headers = {"Authorization": f"Bearer {credentials.token.get_secret_value()}"}
    async with httpx.AsyncClient(headers=headers) as http:
        await http.get(f"{credentials.endpoint}/images")


if __name__ == "__main__":
    run_job({"one request": lambda job: asyncio.run(send_one_request(job.projects[0]))})

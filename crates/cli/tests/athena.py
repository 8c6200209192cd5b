"""Amazon Athena, Glue and S3 on this machine: `athena.py`.

ministack answers for the services, with Athena as `athena_engine` has it. Prints the port it answers at; then each line on
standard input is a command, answered by a line:

  put FOLDER BUCKET PREFIX   copies a folder's files there
  queries                    the statements that were run so far, as a JSON array
  stopped                    how many of them were stopped

It ends where its standard input does.
"""
import asyncio
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
ENDPOINT = f"http://127.0.0.1:{PORT}"
CACHE = tempfile.TemporaryDirectory(prefix="athena-")
os.environ.update(
    BIND_HOST="127.0.0.1", GATEWAY_PORT=str(PORT), ATHENA_ENGINE="duckdb", SERVICES="athena,glue,s3,sts",
    LOG_LEVEL="CRITICAL", IOT_MTLS_ENABLED="0", STATE_DIR=CACHE.name, S3_DATA_DIR=CACHE.name,
    AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1",
)

import athena_engine
import botocore.session
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app
from ministack.services import athena

athena_engine.install(ENDPOINT, CACHE.name)


def obey():
    """Prints the port, and does what the commands say."""
    session = botocore.session.get_session()
    client = session.create_client("s3", endpoint_url=ENDPOINT, region_name="us-east-1")
    while True:
        try:
            client.create_bucket(Bucket="results")
            break
        except Exception:
            # It is not up yet.
            threading.Event().wait(0.05)
    print(PORT, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "queries":
            print(json.dumps(athena_engine.QUERIES), flush=True)
            continue
        if command == "stopped":
            states = [execution["Status"]["State"] for execution in athena._executions._data.values()]
            print(states.count("CANCELLED"), flush=True)
            continue
        folder, bucket, prefix = words
        if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        for file in sorted(pathlib.Path(folder).rglob("*")):
            if file.is_file():
                key = f"{prefix}/{file.relative_to(folder).as_posix()}"
                client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        print("done", flush=True)
    CACHE.cleanup()
    os._exit(0)


async def main():
    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.loglevel = "CRITICAL"
    threading.Thread(target=obey, daemon=True).start()
    await serve(app.app, config)


asyncio.run(main())

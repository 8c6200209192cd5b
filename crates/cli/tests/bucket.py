"""A bucket on this machine that holds a copy of a folder: `bucket.py FOLDER`.

Prints the port it answers at, and answers until its standard input ends.
"""

import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                  aws_access_key_id="test", aws_secret_access_key="test")
s3.create_bucket(Bucket="evidence")
folder = pathlib.Path(sys.argv[1])
for file in sorted(folder.rglob("*")):
    if file.is_file():
        s3.upload_file(str(file), "evidence", f"copies/lake/{file.relative_to(folder).as_posix()}")
print(port, flush=True)
sys.stdin.read()
server.stop()

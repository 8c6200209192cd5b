"""A bucket on this machine whose objects have metadata.

Prints the port it answers at. Then each line of standard input is one JSON object, `{"bucket": …, "put": [{"key": …,
"file": …, "metadata": {…}}, …], "delete": [key, …]}`; each is answered with a line when it is done. Ends with its input.
"""

import json
import pathlib
import sys

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                  aws_access_key_id="test", aws_secret_access_key="test")
print(port, flush=True)
for line in sys.stdin:
    wanted = json.loads(line)
    bucket = wanted["bucket"]
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    for item in wanted["put"]:
        content = pathlib.Path(item["file"]).read_bytes()
        s3.put_object(Bucket=bucket, Key=item["key"], Body=content, Metadata=item["metadata"])
    for key in wanted["delete"]:
        s3.delete_object(Bucket=bucket, Key=key)
    print("done", flush=True)
server.stop()

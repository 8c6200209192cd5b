"""AWS on this machine, for the tests of the adapters: S3, SQS, SNS and EventBridge. `aws.py PORT`

Prints that it answers at the port. Then it makes the calls that come on its standard input, one JSON object a line
(`{"service": "s3", "call": "create_bucket", "arguments": {"Bucket": "trail"}}`), prints what they answer, and ends with
its input. An argument `base64:…` stands for bytes.
"""

import base64
import json
import sys

import boto3
from moto.server import ThreadedMotoServer

port = int(sys.argv[1])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()
clients = {}


def client(service):
    if service not in clients:
        clients[service] = boto3.client(service, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                                        aws_access_key_id="test", aws_secret_access_key="test")
    return clients[service]


def unpacked(value):
    if isinstance(value, str) and value.startswith("base64:"):
        return base64.b64decode(value.removeprefix("base64:"))
    return value


print(json.dumps({"port": port}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    call = getattr(client(request["service"]), request["call"])
    answer = call(**{name: unpacked(value) for name, value in request["arguments"].items()})
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, default=str), flush=True)
server.stop()

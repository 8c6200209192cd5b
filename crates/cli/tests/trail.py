"""A trail on this machine: a bucket with log files, and a queue that is told of them.

Prints one line of JSON: where it answers and what the queue is called. Then each line of standard input is the path of a
log file: it is put into the bucket and the queue is told, as S3 does; the answer is the time. Ends with its input.
"""

import datetime
import json
import pathlib
import sys
import time

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="secret")


s3, sqs = client("s3"), client("sqs")
s3.create_bucket(Bucket="our-trail")
queue = sqs.create_queue(QueueName="our-trail-told")["QueueUrl"]
print(json.dumps({"endpoint": endpoint, "queue": queue}), flush=True)
for line in sys.stdin:
    path = pathlib.Path(line.strip())
    today = datetime.datetime.now(datetime.timezone.utc)
    key = f"logs/AWSLogs/111122223333/CloudTrail/us-east-1/{today:%Y/%m/%d}/{path.name}"
    s3.upload_file(str(path), "our-trail", key)
    told = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "us-east-1",
                         "s3": {"bucket": {"name": "our-trail"}, "object": {"key": key, "size": path.stat().st_size}}}]}
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(told))
    print(time.time(), flush=True)
server.stop()

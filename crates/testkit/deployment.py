"""The tables of the shipped template, the topic and the analytics bucket of a deployment on this machine: `deployment.py`.

Prints where they are as one line of JSON, and answers every line of its standard input: `scan TABLE` tells every item, `put
TABLE ITEM` puts one in, both as DynamoDB writes them, and `delete TABLE KEY` takes one away; `messages` tells what arrived at a queue that subscribes to the
topic, `objects` what lies in the bucket; `log KEY JSON` puts an object into the bucket of a trail.
"""

import base64
import gzip
import json
import logging
import pathlib
import sys
import threading

import boto3
import yaml
from moto.dynamodb.models import DynamoDBBackend
from moto.server import ThreadedMotoServer

# A condition and what is written under it are one step in DynamoDB; moto looks first and writes then, on many threads.
ALONE = threading.RLock()


def alone(method):
    def held(*arguments, **named):
        with ALONE:
            return method(*arguments, **named)

    return held


for name in ("put_item", "update_item"):
    setattr(DynamoDBBackend, name, alone(getattr(DynamoDBBackend, name)))

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"


def service(name):
    return boto3.client(name, endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id="test", aws_secret_access_key="test")


client, sns, sqs, s3 = service("dynamodb"), service("sns"), service("sqs"), service("s3")


def create(table):
    """A table as the shipped template has it, under this deployment's name."""
    shape = {name: table[name] for name in ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
             if name in table}
    client.create_table(TableName=table["TableName"].replace("${AWS::StackName}", "trail"), **shape)


class Plain(yaml.SafeLoader):
    """Reads a template without resolving anything: `!Sub TEXT` is TEXT."""


Plain.add_multi_constructor("!", lambda loader, tag, node: getattr(node, "value", None))
template = yaml.load((pathlib.Path(__file__).parents[2] / "deploy" / "trailhound.yaml").read_text(), Plain)
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::DynamoDB::Table":
        create(resource["Properties"])
topic = sns.create_topic(Name="trail-alerts")["TopicArn"]
queue = sqs.create_queue(QueueName="told")["QueueUrl"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=sqs.get_queue_attributes(
    QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
s3.create_bucket(Bucket="trail-analytics")
s3.create_bucket(Bucket="trail-logs")
print(json.dumps({"endpoint": endpoint, "topic": topic}), flush=True)


def messages():
    found = []
    while True:
        batch = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        if not batch:
            return found
        for message in batch:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def with_bytes(value):
    """Binary values as boto3 takes them, wherever they stand."""
    if isinstance(value, list):
        return [with_bytes(part) for part in value]
    if isinstance(value, dict):
        if list(value) == ["B"]:
            return {"B": base64.b64decode(value["B"])}
        return {name: with_bytes(part) for name, part in value.items()}
    return value


for line in sys.stdin:
    what, *rest = line.strip().split(" ", 2)
    if what == "objects":
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="trail-analytics").build_full_result()
        print(json.dumps({found["Key"]: found["ETag"] for found in pages.get("Contents", [])}), flush=True)
        continue
    if what == "messages":
        print(json.dumps(messages()), flush=True)
        continue
    if what == "log":
        s3.put_object(Bucket="trail-logs", Key=rest[0], Body=gzip.compress(rest[1].encode()))
        print("{}", flush=True)
        continue
    table, *item = rest
    if what == "put":
        client.put_item(TableName=table, Item=with_bytes(json.loads(item[0])))
        print("{}", flush=True)
        continue
    if what == "delete":
        client.delete_item(TableName=table, Key=json.loads(item[0]))
        print("{}", flush=True)
        continue
    items = client.get_paginator("scan").paginate(TableName=table).build_full_result()["Items"]
    print(json.dumps(items, default=lambda value: base64.b64encode(value).decode()), flush=True)
server.stop()

"""An AWS account on this machine: `account.py CLOUDTRAIL`, where CLOUDTRAIL is the endpoint of CloudTrail's event history.

ministack answers for the services, with Athena as `athena_engine` has it, and runs the functions' own binaries. Prints the
endpoint it answers at; then each line on standard input is a command, answered by a line of JSON:

  functions STACK    tells the functions where the services are, which Lambda does not do by itself
  subscribe TOPIC    lets a queue subscribe to a topic
  emit RECORD        hands an event to EventBridge as CloudTrail does
  later SECONDS      lets the schedules believe that it is so much later
  told               what arrived at the queue since it was asked last
  scan TABLE         every item of a table
  objects BUCKET PREFIX   the keys of objects
  bucket NAME        makes a bucket with an object in it
  put BUCKET KEY     puts an object into a bucket
  left               what is left in the account

It ends where its standard input does.
"""
import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time
import traceback

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
ENDPOINT = f"http://127.0.0.1:{PORT}"
REGION = "eu-central-1"
CACHE = tempfile.TemporaryDirectory(prefix="account-")
os.environ.update(
    BIND_HOST="127.0.0.1", GATEWAY_PORT=str(PORT), LOG_LEVEL="CRITICAL", IOT_MTLS_ENABLED="0", STATE_DIR=CACHE.name,
    S3_DATA_DIR=CACHE.name, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION=REGION,
    ATHENA_ENGINE="duckdb",
)

import athena_engine
import botocore.session
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app
from ministack.services import dynamodb, eventbridge, s3, scheduler
from ministack.services.cloudformation import changesets, provisioners

athena_engine.install(ENDPOINT, CACHE.name)
put_events = eventbridge._put_events
# Only CloudTrail itself may say that an event comes from a service.
eventbridge._put_events = lambda data, allow_aws_source=False: put_events(data, True)
table_description = dynamodb._table_description


def described(name):
    """A table's description, with a truth value where the template's text stands."""
    table = table_description(name)
    protected = table["DeletionProtectionEnabled"]
    return {**table, "DeletionProtectionEnabled": protected in (True, "true")}


dynamodb._table_description = described
BUCKET = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
create_bucket = BUCKET["create"]


def create_tagged(logical_id, props, stack):
    """CloudFormation tags the buckets that it makes, and ministack does not."""
    name, attributes = create_bucket(logical_id, props, stack)
    s3._bucket_tags[name] = {
        "aws:cloudformation:stack-id": f"arn:aws:cloudformation:{REGION}:000000000000:stack/{stack}/1",
        "aws:cloudformation:logical-id": logical_id,
    }
    return name, attributes


BUCKET["create"] = create_tagged
# What is taken up is there already, of which ministack's validation complains.
ADOPTED = set()
existing_resources, name_conflict = changesets._existing_resources, provisioners.s3_bucket_name_conflict


def adopted_resources(changes, template):
    found = existing_resources(changes, template)
    ADOPTED.update(resource["ResourceIdentifier"].get("BucketName") for resource in found)
    return found


changesets._existing_resources = adopted_resources
provisioners.s3_bucket_name_conflict = lambda name: None if name in ADOPTED else name_conflict(name)


class Later:
    """The schedules' clock."""

    ahead = 0

    def __getattr__(self, name):
        return getattr(time, name)

    def time(self):
        return time.time() + Later.ahead


scheduler.time = Later()
SESSION = botocore.session.get_session()
QUEUE = []


def client(service):
    return SESSION.create_client(service, endpoint_url=ENDPOINT, region_name=REGION)


def functions(stack):
    client_ = client("lambda")
    for function in client_.list_functions()["Functions"]:
        name = function["FunctionName"]
        variables = dict(function["Environment"]["Variables"])
        variables.update(
            AWS_ENDPOINT_URL=ENDPOINT, AWS_ENDPOINT_URL_CLOUDTRAIL=sys.argv[1], AWS_ENDPOINT_URL_ACCOUNT=sys.argv[1],
            AWS_EC2_METADATA_DISABLED="true", CALLS_PER_SECOND="0",
        )
        client_.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def subscribe(topic):
    sqs = client("sqs")
    QUEUE[:] = [sqs.create_queue(QueueName="told")["QueueUrl"]]
    arn = sqs.get_queue_attributes(QueueUrl=QUEUE[0], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def emit(record):
    record = json.loads(record)
    kind = "AWS Console Sign In via CloudTrail" if record["eventName"] == "ConsoleLogin" else "AWS API Call via CloudTrail"
    source = "aws." + record["eventSource"].split(".")[0]
    answer = client("events").put_events(
        Entries=[{"Source": source, "DetailType": kind, "Detail": json.dumps(record)}])
    return answer["FailedEntryCount"]


def later(seconds):
    Later.ahead += int(seconds)


def told():
    sqs, found = client("sqs"), []
    while True:
        batch = sqs.receive_message(QueueUrl=QUEUE[0], MaxNumberOfMessages=10).get("Messages", [])
        if not batch:
            return found
        for message in batch:
            attributes = json.loads(message["Body"])["MessageAttributes"]
            found.append([attributes[name]["Value"] for name in ("detection", "event_name")])
            sqs.delete_message(QueueUrl=QUEUE[0], ReceiptHandle=message["ReceiptHandle"])


def scan(table):
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return [{name: next(iter(value.values())) for name, value in item.items() if "B" not in value}
            for item in pages.build_full_result().get("Items", [])]


def objects(place):
    bucket, prefix = place.split(" ")
    return [found["Key"] for found in client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def bucket(name):
    s3 = client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="letter", Body=b"dear")


def put(place):
    name, key = place.split(" ")
    client("s3").put_object(Bucket=name, Key=key, Body=b"dear")


def left():
    return {
        "stacks": [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]],
        "buckets": [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "functions": [function["FunctionName"] for function in client("lambda").list_functions()["Functions"]],
        "roles": [role["RoleName"] for role in client("iam").list_roles()["Roles"]],
        "topics": client("sns").list_topics()["Topics"],
        "queues": [url for url in client("sqs").list_queues().get("QueueUrls", []) if not url.endswith("/told")],
        "rules": [rule["Name"] for rule in client("events").list_rules()["Rules"]],
        "schedules": [schedule["Name"] for schedule in client("scheduler").list_schedules()["Schedules"]],
        "alarms": [alarm["AlarmName"] for alarm in client("cloudwatch").describe_alarms()["MetricAlarms"]],
    }


COMMANDS = {"functions": functions, "subscribe": subscribe, "emit": emit, "later": later, "told": told, "scan": scan,
            "objects": objects, "bucket": bucket, "put": put, "left": left}


def obey():
    while True:
        try:
            client("s3").list_buckets()
            break
        except Exception:
            # It is not up yet.
            threading.Event().wait(0.05)
    print(ENDPOINT, flush=True)
    for line in sys.stdin:
        command, *words = line.rstrip("\n").split(" ", 1)
        try:
            print(json.dumps(COMMANDS[command](*words), default=str), flush=True)
        except Exception:
            # Whoever waits for the answer is to hear that there is none.
            traceback.print_exc()
            os._exit(1)
    CACHE.cleanup()
    os._exit(0)


async def main():
    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.loglevel = "CRITICAL"
    threading.Thread(target=obey, daemon=True).start()
    await serve(app.app, config)


asyncio.run(main())

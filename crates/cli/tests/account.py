"""An AWS account on this machine: `account.py CLOUDTRAIL DEPLOYER`, where CLOUDTRAIL is the endpoint of CloudTrail's event
history, and DEPLOYER the access key of whoever's calls are noted.

ministack answers for the services, with Athena as `athena_engine` has it, and runs the functions' own binaries. Prints the
endpoint it answers at; then each line on standard input is a command, answered by a line of JSON:

  functions STACK    tells the functions where the services are, which Lambda does not do by itself
  subscribe TOPIC    lets a queue subscribe to a topic
  emit REGION RECORD hands an event to a region's EventBridge as CloudTrail does
  later SECONDS      lets the schedules believe that it is so much later
  told               what arrived at the queue since it was asked last
  scan TABLE         every item of a table
  objects BUCKET PREFIX   the keys of objects
  bucket NAME        makes a bucket with an object in it
  put BUCKET KEY     puts an object into a bucket
  calls              what DEPLOYER called, as a policy has it
  left               what there is in the account, by kind: what is a region's with its region before it

It ends where its standard input does.
"""
import asyncio
import fnmatch
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
ENDPOINT = f"http://127.0.0.1:{PORT}"
REGION = "eu-central-1"
# The home region, and the one that is forwarded from.
REGIONS = (REGION, "us-east-1")
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
from ministack.core.responses import get_region, set_request_region
from ministack.services import dynamodb, eventbridge, iam, s3, scheduler
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
invoke_target = eventbridge._invoke_target


def invoke_target_anywhere(target, event, rule, view=None):
    """Takes an event to a bus of another region too, which the emulator does not: as an event of the region where it
    happened, if the target's role lets EventBridge do so for this rule."""
    *_, region, _, resource = target["Arn"].split(":", 5)
    if not resource.startswith("event-bus/") or region == get_region():
        return invoke_target(target, event, rule, view)
    role = iam._roles[target["RoleArn"].rsplit("/", 1)[-1]]
    if not may_forward(role, rule["Arn"], target["Arn"]):
        return None
    here = get_region()
    set_request_region(region)
    try:
        return eventbridge._dispatch_event({**event, "EventBusName": resource.split("/", 1)[1]})
    finally:
        set_request_region(here)


def may_forward(role, rule, bus):
    def statements(document):
        return (json.loads(document) if isinstance(document, str) else document)["Statement"]

    is_trusted = any(
        trust["Principal"] == {"Service": "events.amazonaws.com"}
        and fnmatch.fnmatchcase(rule, trust["Condition"]["ArnLike"]["aws:SourceArn"])
        and trust["Condition"]["StringEquals"]["aws:SourceAccount"] == rule.split(":")[4]
        for trust in statements(role["AssumeRolePolicyDocument"]))
    return is_trusted and any(
        (grant["Effect"], grant["Action"], grant["Resource"]) == ("Allow", "events:PutEvents", bus)
        for policy in role["InlinePolicies"].values() for grant in statements(policy))


eventbridge._invoke_target = invoke_target_anywhere


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


def client(service, region=REGION):
    return SESSION.create_client(service, endpoint_url=ENDPOINT, region_name=region)


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


def emit(what):
    region, record = what.split(" ", 1)
    record = json.loads(record)
    kind = "AWS Console Sign In via CloudTrail" if record["eventName"] == "ConsoleLogin" else "AWS API Call via CloudTrail"
    source = "aws." + record["eventSource"].split(".")[0]
    answer = client("events", region).put_events(
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


CALLS = set()
SIGNED = re.compile(rf"Credential={re.escape(sys.argv[2])}/[^/]+/[^/]+/([^/]+)/")


async def overheard(scope, receive, send):
    """The emulator, and somebody who notes what the deployer calls."""
    headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
    signed = SIGNED.search(headers.get("authorization", ""))
    is_noted = signed is None

    async def heard():
        nonlocal is_noted
        message = await receive()
        if not is_noted:
            CALLS.update(actions(signed[1], scope, headers, message.get("body", b"")))
            is_noted = True
        return message

    await app.app(scope, heard, send)
    if not is_noted:
        CALLS.update(actions(signed[1], scope, headers, b""))


def actions(service, scope, headers, body):
    """What has to be allowed for a request."""
    method, path = scope["method"], scope["path"]
    if service == "s3":
        return of_objects(method, path, scope["query_string"].decode())
    if "x-amz-target" in headers:
        operation = headers["x-amz-target"].rsplit(".", 1)[-1]
    elif "/operation/" in path:
        operation = path.rsplit("/", 1)[-1]
    elif body.startswith(b"Action="):
        operation = body.split(b"&", 1)[0].split(b"=")[1].decode()
    else:
        operation = of_path(service, method, path)
    known = {"monitoring:": "cloudwatch:", "lambda:Invoke": "lambda:InvokeFunction"}
    action = known.get(f"{service}:{operation}", known.get(f"{service}:", f"{service}:") + operation)
    # Whoever has credentials may ask whose they are.
    return [] if action == "sts:GetCallerIdentity" else [action]


def of_path(service, method, path):
    model = SESSION.get_service_model(service)
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern = re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(http["requestUri"].split("?")[0].rstrip("/")))
        if http["method"] == method and re.fullmatch(pattern, path.rstrip("/")):
            return name
    return f"{method} {path}"


def of_objects(method, path, query):
    asked = urllib.parse.parse_qs(query, keep_blank_values=True)
    if "/" in path.strip("/"):
        deleted = "s3:DeleteObjectVersion" if "versionId" in asked else "s3:DeleteObject"
        return [{"GET": "s3:GetObject", "HEAD": "s3:GetObject", "DELETE": deleted}.get(method, "s3:PutObject")]
    if "delete" in asked:
        return ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    part = next((name for name, values in asked.items() if values == [""]), None)
    known = {("GET", "versions"): "s3:ListBucketVersions", ("GET", "versioning"): "s3:GetBucketVersioning",
             ("GET", "location"): "s3:GetBucketLocation", ("GET", "tagging"): "s3:GetBucketTagging",
             ("GET", None): "s3:ListBucket", ("HEAD", None): "s3:ListBucket",
             ("PUT", None): "s3:CreateBucket", ("DELETE", None): "s3:DeleteBucket"}
    return [known.get((method, part), f"s3:{method} ?{part}")]


def calls():
    return sorted(CALLS)


def left():
    """Of a trail and of Detective nothing: the emulator makes neither from a template. Policies of buckets, queues and topics,
    targets of rules, and configurations of functions have no life of their own."""
    policies = client("iam").list_policies(Scope="Local")["Policies"]
    found = {
        "buckets": [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "roles": [role["RoleName"] for role in client("iam").list_roles()["Roles"]],
        "policies": [policy["PolicyName"] for policy in policies],
    }
    for region in REGIONS:
        for kind, names in left_in(region).items():
            found.setdefault(kind, []).extend(f"{region} {name}" for name in names)
    return found


def left_in(region):
    def listed(service, operation, kind, name=None, **arguments):
        found = getattr(client(service, region), operation)(**arguments).get(kind, [])
        return [item[name] for item in found] if name else found

    databases = listed("glue", "get_databases", "DatabaseList", "Name")
    tables = [f"{database}.{table}" for database in databases
              for table in listed("glue", "get_tables", "TableList", "Name", DatabaseName=database)]
    keys = [client("kms", region).describe_key(KeyId=key)["KeyMetadata"]
            for key in listed("kms", "list_keys", "Keys", "KeyId")]
    groups = listed("scheduler", "list_schedule_groups", "ScheduleGroups", "Name")
    # What is every account's from its beginning.
    given = {"primary", "default"}
    return {
        "stacks": listed("cloudformation", "describe_stacks", "Stacks", "StackName"),
        "tables": listed("dynamodb", "list_tables", "TableNames"),
        "functions": listed("lambda", "list_functions", "Functions", "FunctionName"),
        "mappings": listed("lambda", "list_event_source_mappings", "EventSourceMappings", "EventSourceArn"),
        "topics": listed("sns", "list_topics", "Topics", "TopicArn"),
        "queues": [url for url in listed("sqs", "list_queues", "QueueUrls") if not url.endswith("/told")],
        "rules": listed("events", "list_rules", "Rules", "Name"),
        "schedules": listed("scheduler", "list_schedules", "Schedules", "Name"),
        "schedule groups": [name for name in groups if name not in given],
        "alarms": listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "dashboards": listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        "log groups": listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "workgroups": [name for name in listed("athena", "list_work_groups", "WorkGroups", "Name") if name not in given],
        "databases": [name for name in databases if name not in given],
        "views and tables": tables,
        "keys": [f"{key['KeyId']} {key['KeyState']}" for key in keys if key["KeyManager"] == "CUSTOMER"],
        "aliases": [name for name in listed("kms", "list_aliases", "Aliases", "AliasName")
                    if not name.startswith("alias/aws/")],
    }


COMMANDS = {"functions": functions, "subscribe": subscribe, "emit": emit, "later": later, "told": told, "scan": scan,
            "objects": objects, "bucket": bucket, "put": put, "calls": calls, "left": left}


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
    await serve(overheard, config)


asyncio.run(main())

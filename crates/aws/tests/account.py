"""An account on this machine: `account.py`.

Prints what is in it as one line of JSON, and answers every line of its standard input with another one, until that ends:
`guard` has signatures and rights checked from then on, `look` tells what has arrived.
"""

import json
import logging
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"


def client(service, key="test", secret="test"):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id=key, aws_secret_access_key=secret)


def user(name, policy):
    iam = client("iam")
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


def queue_of(topic, attributes):
    sqs, sns = client("sqs"), client("sns")
    queue = sqs.create_queue(QueueName=topic, Attributes=attributes)["QueueUrl"]
    arn = sns.create_topic(Name=topic, Attributes=attributes)["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=sqs.get_queue_attributes(
        QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
    return arn, queue


topic, queue = queue_of("alerts", {})
fifo, fifo_queue = queue_of("alerts.fifo", {"FifoTopic": "true", "FifoQueue": "true"})
client("securityhub").enable_security_hub()
manager = client("secretsmanager")
text = manager.create_secret(Name="slack", SecretString="xoxb-of-the-manager")["ARN"]
binary = manager.create_secret(Name="binary", SecretBinary=b"\x00\x01")["ARN"]
client("ssm").put_parameter(Name="/team/slack", Type="SecureString", Value="xoxb-of-the-parameter")
parameter = client("ssm").get_parameter(Name="/team/slack")["Parameter"]["ARN"]
admin, nobody = user("admin", True), user("nobody", False)
print(json.dumps({"endpoint": endpoint, "topic": topic, "fifo": fifo, "text": text, "binary": binary,
                  "parameter": parameter, "admin": admin, "nobody": nobody}), flush=True)


def messages(url):
    answer = client("sqs", *admin).receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return [{"body": json.loads(message["Body"]), "attributes": message["Attributes"]}
            for message in answer.get("Messages", [])]


for line in sys.stdin:
    if line.strip() == "guard":
        # From now on signatures and rights count. (moto does not understand the signatures of SNS.)
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", method="POST",
                                                      headers={"Content-Type": "text/plain"}))
        print("{}", flush=True)
        continue
    print(json.dumps({"alerts": messages(queue), "fifo": messages(fifo_queue),
                      "findings": client("securityhub", *admin).get_findings()["Findings"]}), flush=True)
server.stop()

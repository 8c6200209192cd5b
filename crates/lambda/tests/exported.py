"""What was exported, as other programs read it, beside what the table of events has: `exported.py ENDPOINT LAYOUT`.

Prints one object of JSON: for each reader, and for the table, every event by its id. An event that is there twice is an error.
"""

import json
import sys
import zlib

import boto3
import polars
from deltalake import DeltaTable

endpoint, layout = sys.argv[1:]
credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
options = {**credentials, "aws_endpoint_url": endpoint, "aws_region": "us-east-1", "aws_allow_http": "true"}
columns = ["event_id", "event_name", "event_source", "aws_region", "source_ip", "request_parameters", "event_date"]


def by_id(rows):
    found = {}
    for event_id, *values, parameters, date in rows:
        if event_id in found:
            sys.exit(f"{event_id} is there twice")
        found[event_id] = [*values, json.loads(parameters) if parameters else None, str(date)]
    return found


def service(name):
    return boto3.client(name, endpoint_url=endpoint, region_name="us-east-1", **credentials)


def table():
    items = list(service("dynamodb").get_paginator("scan").paginate(TableName="trail-events").search("Items"))
    number = lambda part: int(part["event_id"]["S"].rsplit("#", 1)[1])
    for item in items:
        if "part_of" in item:
            continue
        record = item["record"]
        if "S" in record:
            record = record["S"]
        else:
            key = (item["event_date"], item["event_id"])
            parts = [part for part in items if (part["event_date"], part.get("part_of")) == key]
            record = zlib.decompress(b"".join([record["B"], *(part["record"]["B"] for part in sorted(parts, key=number))]))
        record = json.loads(record)
        yield (record["eventID"], record["eventName"], record["eventSource"], record["awsRegion"],
               record.get("sourceIPAddress"), json.dumps(record.get("requestParameters")), item["event_date"]["S"])


found = {"table": by_id(table())}
if layout == "delta":
    lake = "s3://trail-analytics/lake"
    arrow = DeltaTable(lake, storage_options=options).to_pyarrow_table(columns=columns)
    found["deltalake"] = by_id(zip(*(arrow.column(name).to_pylist() for name in columns), strict=True))
    found["polars"] = by_id(polars.read_delta(lake, storage_options=options).select(columns).rows())
else:
    import io
    s3 = service("s3")
    keys = [key for key in s3.get_paginator("list_objects_v2").paginate(Bucket="trail-analytics").search("Contents[].Key")]
    frames = [polars.read_parquet(io.BytesIO(s3.get_object(Bucket="trail-analytics", Key=key)["Body"].read()))
              for key in keys if key.startswith("iam-events/")]
    found["polars"] = by_id(polars.concat(frames).select(columns).rows())
print(json.dumps(found))

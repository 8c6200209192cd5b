"""Statements in Athena's dialect on standard input, a JSON object by name; DuckDB's rows on standard output.

With a number after the lake: the median seconds of so many runs instead, after one that does not count. With a port
after that: those of the PostgreSQL server there, which is asked the statements as they are.

The lake is read through its log: deltalake names the active files.
"""
import datetime
import json
import os
import statistics
import sys
import time

import deltalake
import duckdb
import sqlglot

lake = sys.argv[1]
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 0
port = sys.argv[3] if len(sys.argv) > 3 else None
files = [uri.removeprefix("file://") for uri in deltalake.DeltaTable(lake).file_uris()]
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("SET default_null_order = 'nulls_last'")
connection.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet({files!r}, hive_partitioning = true)")
connection.execute(
    """
    CREATE VIEW iam_events AS SELECT
      CAST(event_date AS VARCHAR) AS event_date, event_id,
      strftime(event_time AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S+00:00') AS event_time, event_name, event_source,
      event_type, user_name, aws_region, source_ip, user_agent, request_parameters, response_elements, error_code,
      error_message, CAST(year(event_date) AS VARCHAR) AS year, CAST(month(event_date) AS VARCHAR) AS month,
      CAST(day(event_date) AS VARCHAR) AS day, aws_region AS region, account_id, session_name, target
    FROM events WHERE event_type IN ('iam', 'sts', 'signin', 'sso')
    """
)


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc)
        fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
        return value.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
    return str(value)


def times(ask, statements):
    """The median seconds of each, after a run that does not count."""
    answers = {}
    for name, statement in statements.items():
        seconds = []
        for _ in range(runs + 1):
            begun = time.perf_counter()
            ask(statement)
            seconds.append(time.perf_counter() - begun)
        answers[name] = statistics.median(seconds[1:])
    return answers


statements = json.load(sys.stdin)
if port:
    import psycopg

    door = psycopg.connect(
        host="127.0.0.1", port=port, user="trailhound", dbname="trailhound",
        password=os.environ["DOOR_PASSWORD"], autocommit=True,
    )
    json.dump(times(lambda statement: door.execute(statement).fetchall(), statements), sys.stdout)
    sys.exit()


def translated(statement):
    (text,) = sqlglot.transpile(statement, read="athena", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    return text


statements = {name: translated(statement) for name, statement in statements.items()}
if runs:
    json.dump(times(lambda statement: connection.execute(statement).fetchall(), statements), sys.stdout)
    sys.exit()
answers = {}
for name, statement in statements.items():
    cursor = connection.execute(statement)
    columns = [column[0] for column in cursor.description]
    answers[name] = {"columns": columns, "rows": [[text(value) for value in row] for row in cursor.fetchall()]}
json.dump(answers, sys.stdout)

"""One connection to the door, for as long as standard input lasts: each line is a statement, answered by its rows as JSON.

Every statement is prepared, so that one that comes twice is prepared once and run twice.
"""

import json
import os
import sys

import psycopg

connection = psycopg.connect(
    host="127.0.0.1",
    port=os.environ["DOOR_PORT"],
    user="trailhound",
    password=os.environ["DOOR_PASSWORD"],
    dbname="trailhound",
    autocommit=True,
    prepare_threshold=0,
    connect_timeout=20,
)
for statement in sys.stdin:
    print(json.dumps(connection.execute(statement).fetchall(), default=str), flush=True)

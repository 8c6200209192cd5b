"""Athena as ministack does not have it.

Its Athena runs DuckDB's SQL on the files below a table's location; with this it runs Athena's, translated, and reads a
Delta table's active files, by its log. To be imported once the environment says where ministack is.
"""
import asyncio
import datetime
import decimal
import json
import os
import pathlib
import re

import deltalake
import duckdb
import pyarrow
import sqlglot
from ministack.services import athena, glue
from ministack.services import s3 as s3_service
from sqlglot import exp

ENDPOINT = CACHE = None
QUERIES = []
NAME = r'[`"]?([a-z0-9_-]+)[`"]?'
CREATE_DATABASE = re.compile(rf"CREATE DATABASE IF NOT EXISTS {NAME}\s*")
# Athena takes neither columns nor partitions of a Delta table.
CREATE_TABLE = re.compile(
    rf"CREATE EXTERNAL TABLE {NAME}\.{NAME} LOCATION '(s3://[^']+/)' TBLPROPERTIES \('table_type' = 'DELTA'\)\s*"
)
CREATE_VIEW = re.compile(rf"CREATE OR REPLACE VIEW {NAME}\.{NAME} AS (.*)", re.DOTALL)
NOTHING = {"columns": [], "column_types": [], "rows": []}


class Failed(ValueError):
    """A query that fails by a fault of whoever wrote it."""


def lower_keys(text):
    """Athena compares the names of a JSON object's members and a row's fields in lower case, DuckDB as they are."""

    def lower(value):
        if isinstance(value, dict):
            return {key.lower(): lower(inner) for key, inner in value.items()}
        return [lower(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(lower(json.loads(text)))


def structure_of(kind):
    """A type as DuckDB's from_json takes it."""
    if kind.this == exp.DataType.Type.STRUCT:
        return {field.name: structure_of(field.args["kind"]) for field in kind.expressions}
    if kind.this == exp.DataType.Type.ARRAY:
        return [structure_of(kind.expressions[0])]
    return kind.sql("duckdb")


def fit(node):
    """What sqlglot leaves as Athena has it."""
    if isinstance(node, exp.Cast) and isinstance(node.this, (exp.ParseJSON, exp.JSONExtract)):
        if node.to.this in (exp.DataType.Type.STRUCT, exp.DataType.Type.ARRAY):
            # DuckDB's own cast wants every field to be there.
            document = exp.Anonymous(this="lower_keys", expressions=[exp.cast(node.this, "text")])
            structure = exp.Literal.string(json.dumps(structure_of(node.to)))
            return exp.Anonymous(this="from_json", expressions=[document, structure])
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TRANSFORM_VALUES":
        entries, function = node.expressions
        key, value = (parameter.name for parameter in function.expressions)

        def of_entry(part):
            if isinstance(part, exp.Column) and part.name in (key, value):
                return exp.column("key" if part.name == key else "value", table="entry")
            is_name = isinstance(part, exp.Identifier) and not isinstance(part.parent, exp.Column)
            if is_name and part.name in (key, value):
                return sqlglot.parse_one(f"entry.{'key' if part.name == key else 'value'}", read="duckdb")
            return part

        body = function.this.transform(of_entry).sql("duckdb")
        whole = entries.transform(fit).sql("duckdb")
        return exp.Var(
            this=f"map_from_entries(list_transform(map_entries({whole}), lambda entry: (entry.key, {body})))"
        )
    return node


def translated(tree):
    tree = tree.transform(fit)
    # What is not there is null for Athena and empty for DuckDB. The innermost first.
    for node in reversed(list(tree.find_all(exp.SplitPart, exp.RegexpExtract))):
        whole = node.copy()
        if isinstance(node, exp.SplitPart):
            parts = exp.Anonymous(this="string_split", expressions=[whole.this, whole.args["delimiter"]])
            node.replace(exp.Anonymous(this="list_extract", expressions=[parts, whole.args["part_index"]]))
        else:
            matches = exp.Anonymous(this="regexp_matches", expressions=[whole.this.copy(), whole.expression.copy()])
            node.replace(exp.Case(ifs=[exp.If(this=matches, true=whole)]))
    return tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)


def parsed(query):
    try:
        (tree,) = sqlglot.parse(query, read="athena")
    except (sqlglot.ParseError, ValueError) as error:
        raise Failed(f"SYNTAX_ERROR: {error}") from error
    return tree


def active_files(location):
    """The files of a Delta table's newest version, on this disk; and their columns where there are none."""
    options = {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_ALLOW_HTTP": "true", "AWS_REGION": os.environ["AWS_DEFAULT_REGION"]}
    table = deltalake.DeltaTable(location.rstrip("/"), storage_options=options)
    files = []
    for uri in table.file_uris():
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        path = pathlib.Path(CACHE, bucket, key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3_service._get_object_data(bucket, key))
        files.append(str(path))
    return files, pyarrow.schema(table.schema())


def define(connection, tree, database, defined):
    """Makes the tables and views that a query names, and those that the views name."""
    of_query = {common.alias for common in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        place = (table.db or database, table.name)
        if (not table.db and table.name in of_query) or place in defined or not table.name:
            continue
        found = glue._tables.get("/".join(place))
        if not found:
            raise Failed(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{place[0]}.{place[1]}' does not exist")
        defined.add(place)
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{place[0]}"')
        if text := found["ViewOriginalText"]:
            view = parsed(text)
            define(connection, view, place[0], defined)
            connection.execute(f'CREATE VIEW "{place[0]}"."{place[1]}" AS {translated(view)}')
            continue
        files, schema = active_files(found["StorageDescriptor"]["Location"])
        if files:
            source = f"read_parquet({files!r}, hive_partitioning = true, union_by_name = true)"
        else:
            source = "empty_" + place[1]
            connection.register(source, schema.empty_table())
        connection.execute(f'CREATE VIEW "{place[0]}"."{place[1]}" AS SELECT * FROM {source}')


def text(value):
    """A value as Athena writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        zone = " UTC" if value.tzinfo else ""
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}{zone}"
    if isinstance(value, (int, float, decimal.Decimal, datetime.date)):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={text(inner) or 'null'}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(inner) or "null" for inner in value) + "]"
    return str(value)


def kind(name):
    """A type of DuckDB's as Athena names it."""
    name = str(name).upper()
    if name.endswith("[]"):
        return "array"
    base = name.split("(")[0]
    if base == "TIMESTAMP WITH TIME ZONE":
        return "timestamp with time zone"
    return athena._DUCKDB_TYPE_MAP.get(base, "varchar")


def answered(query, database):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET default_null_order = 'nulls_last'")
    connection.create_function("lower_keys", lower_keys, ["VARCHAR"], "VARCHAR")
    explained = query.upper().startswith("EXPLAIN ")
    tree = parsed(query[len("EXPLAIN "):] if explained else query)
    define(connection, tree, database, set())
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
    connection.execute(f'USE "{database}"')
    try:
        cursor = connection.execute(("EXPLAIN " if explained else "") + translated(tree))
    except duckdb.BinderException as error:
        raise Failed(f"COLUMN_NOT_FOUND: {error}") from error
    columns, types = [column[0] for column in cursor.description], [kind(column[1]) for column in cursor.description]
    rows = [[text(value) for value in row] for row in cursor.fetchall()]
    connection.close()
    return {"columns": columns, "column_types": types, "rows": rows}


def table_input(name, location=None, view=None):
    parameters = {"EXTERNAL": "TRUE", "table_type": "DELTA", "location": location} if location else {}
    return {
        "Name": name, "TableType": "VIRTUAL_VIEW" if view else "EXTERNAL_TABLE", "Parameters": parameters,
        "StorageDescriptor": {"Location": location} if location else {}, "ViewOriginalText": view,
    }


def run(query, database):
    """Runs one statement as Athena does."""
    if made := CREATE_DATABASE.fullmatch(query):
        if made[1] not in glue._databases:
            glue._create_database({"DatabaseInput": {"Name": made[1]}})
        return NOTHING
    if made := CREATE_TABLE.fullmatch(query):
        status, _, body = glue._create_table({"DatabaseName": made[1], "TableInput": table_input(made[2], made[3])})
        if status >= 300:
            raise Failed(f"FAILED: Execution Error, return code 1: {json.loads(body)['message']}")
        return NOTHING
    if made := CREATE_VIEW.fullmatch(query):
        # A view whose columns cannot be worked out is not made.
        answered(f"SELECT * FROM ({made[3]}) LIMIT 0", made[1])
        place = f"{made[1]}/{made[2]}"
        if (found := glue._tables.get(place)) and not found["ViewOriginalText"]:
            raise Failed(f"Table '{made[1]}.{made[2]}' already exists, and is no view")
        glue._tables.pop(place, None)
        glue._create_table({"DatabaseName": made[1], "TableInput": table_input(made[2], view=made[3])})
        return NOTHING
    if query.strip().upper() == "SHOW TABLES":
        names = sorted(key.split("/")[1] for key in glue._tables.keys() if key.startswith(f"{database}/"))
        return {"columns": ["tab_name"], "column_types": ["string"], "rows": [[name] for name in names]}
    return answered(query, database)


async def run_duckdb(query, database, catalog=None):
    QUERIES.append(query)
    # An answer that never comes, to be stopped.
    if "'never'" in query:
        await asyncio.sleep(3600)
    return await asyncio.to_thread(run, query, database)


EXECUTE = athena._execute_query


async def execute_query(query_id, query, database, ddl, catalog=None):
    await EXECUTE(query_id, query, database, ddl, catalog)
    status = athena._executions[query_id]["Status"]
    if status["State"] == "FAILED" and re.match("[A-Z_]+: ", status["StateChangeReason"]):
        status["AthenaError"] = {"ErrorCategory": 2, "ErrorType": 1006, "Retryable": False}


GET_TABLE_METADATA = athena._get_table_metadata


def get_table_metadata(data):
    if f"{data['DatabaseName']}/{data['TableName']}" not in glue._tables:
        reason = "Entity Not Found (Service: AmazonDataCatalog; Status Code: 400; Error Code: EntityNotFoundException)"
        return athena.error_response_json("MetadataException", reason, 400)
    return GET_TABLE_METADATA(data)


GET_WORKGROUP = athena._get_workgroup


def get_workgroup(data):
    """A template's numbers and switches are what they are in Athena, and texts in this CloudFormation."""
    if workgroup := athena._workgroups.get(data.get("WorkGroup")):
        configuration = workgroup["Configuration"]
        for name, value in configuration.items():
            if value in ("true", "false"):
                configuration[name] = value == "true"
            elif isinstance(value, str) and value.isdigit():
                configuration[name] = int(value)
    return GET_WORKGROUP(data)


def install(endpoint, cache):
    """Has the emulator's Athena work so; what lies in its buckets is read by way of a folder."""
    global ENDPOINT, CACHE
    ENDPOINT, CACHE = endpoint, cache
    athena._run_duckdb = run_duckdb
    athena._execute_query = execute_query
    athena._get_table_metadata = get_table_metadata
    athena._get_workgroup = get_workgroup

"""Reads a lake with Polars, Python's deltalake, and DuckDB over the active files, and prints what each found.

Usage: readers.py LAKE. One line of JSON: for each reader the number of rows, a digest of every row, the types of the
columns as it names them, and the answers to a few questions that use the partition and the statistics.
"""

import hashlib
import json
import sys

import deltalake
import duckdb
import polars
import pyarrow.compute

lake = sys.argv[1]
table = deltalake.DeltaTable(lake)
columns = [field.name for field in table.schema().fields]


def digest(rows):
    """The rows as text, in no order."""
    lines = []
    for row in rows:
        lines.append("\x1f".join("\x00" if value is None else str(value) for value in row))
    return hashlib.sha256("\x1e".join(sorted(lines)).encode()).hexdigest()


def plain(value):
    """Times and days in one spelling, whatever the reader calls them."""
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "").replace("T", " ")
    return value


def summary(rows):
    rows = [tuple(plain(value) for value in row) for row in rows]
    at = columns.index
    counts = {}
    for row in rows:
        key = f"{row[at('event_date')]} {row[at('aws_region')]} {row[at('user_name')]}"
        counts[key] = counts.get(key, 0) + 1
    return {"rows": len(rows), "digest": digest(rows), "groups": dict(sorted(counts.items()))}


found = {}

frame = polars.read_delta(lake).select(columns)
found["polars"] = summary(frame.rows())

arrow = table.to_pyarrow_table(columns=columns)
found["deltalake"] = summary(zip(*(arrow.column(name).to_pylist() for name in columns), strict=True))

files = table.file_uris()
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
if files:
    query = f"SELECT {', '.join(columns)} FROM read_parquet({files!r}, hive_partitioning = true)"
    # Through Arrow: for times with a zone `fetchall` wants one more package.
    arrow = connection.execute(query).to_arrow_table()
    found["duckdb"] = summary(zip(*(arrow.column(name).to_pylist() for name in columns), strict=True))
else:
    found["duckdb"] = summary([])

# The same question to each, by its own shortcuts: the partition, the statistics, the bloom filters.
day, person = "2024-03-02", "ada"
lazy = polars.scan_delta(lake).filter(
    (polars.col("event_date") == polars.lit(day).str.to_date()) & (polars.col("user_name") == person)
)
questions = {"polars": lazy.select(polars.len()).collect().item()}
dataset = table.to_pyarrow_dataset()
wanted = (pyarrow.compute.field("event_date") == pyarrow.compute.scalar(day).cast("date32")) & (
    pyarrow.compute.field("user_name") == person
)
questions["deltalake"] = dataset.count_rows(filter=wanted)
questions["duckdb"] = (
    connection.execute(
        f"SELECT count(*) FROM read_parquet({files!r}, hive_partitioning = true) WHERE event_date = ? AND user_name = ?",
        [day, person],
    ).fetchone()[0]
    if files
    else 0
)

print(
    json.dumps(
        {
            "version": table.version(),
            "id": str(table.metadata().id),
            "columns": columns,
            "found": found,
            "questions": questions,
        }
    )
)

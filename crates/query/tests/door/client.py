"""What psycopg sees of the door. Each function is one check, called by its name from the tests."""

import datetime
import decimal
import os
import sys
import threading
import time

import psycopg
from psycopg import errors, pq
from psycopg.rows import dict_row

PORT = int(os.environ["DOOR_PORT"])
USER = os.environ.get("DOOR_USER", "reader")
PASSWORD = os.environ.get("DOOR_PASSWORD", "")
UTC = datetime.timezone.utc


def connect(**options):
    options = {"user": USER, "password": PASSWORD, "dbname": "trailhound", "autocommit": True, **options}
    return psycopg.connect(host="127.0.0.1", port=PORT, connect_timeout=20, **options)


def refused(expected, run, *arguments, **options):
    try:
        run(*arguments, **options)
    except expected as error:
        return error
    raise AssertionError(f"{expected} was expected of {arguments}")


def rows_of_every_kind(binary):
    with connect() as connection:
        cursor = connection.cursor(binary=binary, row_factory=dict_row)
        rows = cursor.execute("select * from events").fetchall()
        first, second, third, nulls = rows
        assert first["event_id"] == "e1" and third["event_id"] == "é🦀", rows
        time_ = datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)
        assert first["event_time"] == time_.replace(tzinfo=UTC), first
        assert first["local_time"] == time_, first
        assert second["event_time"] == datetime.datetime(1970, 1, 1, tzinfo=UTC), second
        assert third["event_time"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), third
        assert first["event_date"] == datetime.date(2023, 11, 14), first
        assert third["event_date"] == datetime.date(1969, 12, 31), third
        assert [row["read_only"] for row in rows] == [True, False, True, None], rows
        assert [row["count32"] for row in rows] == [7, -7, 2**31 - 1, None], rows
        assert [row["count64"] for row in rows] == [8, -8, 2**63 - 1, None], rows
        assert first["ratio"] == 0.5 and second["ratio"] == -1e300 and third["ratio"] != third["ratio"], rows
        assert first["tags"] == ["a", None, 'say "hi", {you}'], first
        assert second["tags"] == [] and third["tags"] == ["nul␀"], rows
        assert [row["error_code"] for row in rows] == [None, "AccessDenied", "a␀b", None], rows
        assert all(value is None for value in nulls.values()), nulls
        kinds = {column.name: column.type_display for column in cursor.description}
        assert kinds["event_time"] == "timestamptz" and kinds["tags"] == "text[]", kinds


def text():
    rows_of_every_kind(binary=False)


def binary():
    rows_of_every_kind(binary=True)


def other_kinds():
    """Kinds that no table here has, in both formats."""
    with connect() as connection:
        for is_binary in (False, True):
            cursor = connection.cursor(binary=is_binary)
            sql = """select cast(1.25 as decimal(10, 2)), interval '1 day 2 hours', cast(null as interval) as i,
                            arrow_cast(7, 'UInt64'), arrow_cast(7, 'UInt32'), arrow_cast(1.5, 'Float32'), null as n,
                            cast('12:34:56' as time), [1, null, 3], [[1], [2]], arrow_cast('x', 'Dictionary(Int32, Utf8)'),
                            arrow_cast('y', 'LargeUtf8'), arrow_cast(X'00ff', 'Binary'), map(['k'], ['v'])"""
            row = cursor.execute(sql).fetchone()
            assert row == (
                decimal.Decimal("1.25"),
                datetime.timedelta(days=1, hours=2),
                None,
                7,
                7,
                1.5,
                None,
                datetime.time(12, 34, 56),
                [1, None, 3],
                "[[1], [2]]",
                "x",
                "y",
                b"\x00\xff",
                "{k: v}",
            ), row


def parameters():
    when = datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    for options in ({}, {"cursor_factory": psycopg.ClientCursor}, {"prepare_threshold": 0}):
        with connect(**options) as connection:
            # A client's own cursor writes the values into the statement, and knows no binary format.
            for is_binary in (False,) if "cursor_factory" in options else (False, True):
                cursor = connection.cursor(binary=is_binary)
                ask = lambda sql, *values: cursor.execute(sql, values).fetchall()
                assert ask("select event_id from events where event_id = %s", "e1") == [("e1",)]
                assert ask("select event_id from events where count64 = %s", 8) == [("e1",)]
                assert ask("select event_id from events where count32 = %s", -7) == [("e2",)]
                assert ask("select event_id from events where count64 > %s", 2**40) == [("é🦀",)]
                assert ask("select event_id from events where ratio = %s", 0.5) == [("e1",)]
                assert ask("select event_id from events where event_time = %s", when) == [("e1",)]
                assert ask("select event_id from events where event_date = %s", when.date()) == [("e1",)]
                assert ask("select event_id from events where read_only = %s", False) == [("e2",)]
                assert ask("select event_id from events where event_time > %s", "2020-01-01") == [("e1",)]
                assert ask("select event_id from events where event_id is not distinct from %s", None) == [(None,)]
                assert ask("select count(*) from events limit %s", 1) == [(4,)]
                text = '{"a": "it\'s {not} an array"}'
                assert ask("select %s", text) == [(text,)]
                assert ask("select %s::text, %s::int, %s::bigint", "x", 1, 2**40) == [("x", 1, 2**40)]
                assert ask("select %s is null, %s", None, "x") == [(True, "x")]
    # All in the binary format, and no type but the server's.
    with connect() as connection:
        cursor = connection.cursor(binary=True)
        row = cursor.execute("select event_id from events where count64 = %b and event_id = %b", (8, "e1")).fetchall()
        assert row == [("e1",)], row
        cursor.execute("select %b::bigint[]", ([1, 2, None],))
        raw = connection.pgconn.exec_params(
            b"select event_id from events where count64 = $1 and event_time = $2",
            [b"8", b"2023-11-14 22:13:20.123456+00"],
        )
        assert raw.status == pq.ExecStatus.TUPLES_OK and raw.get_value(0, 0) == b"e1", raw.error_message
        mistake = connection.pgconn.exec_params(b"select 1 from events where count64 = $1", [b"eight"])
        assert mistake.error_field(pq.DiagnosticField.SQLSTATE) == b"22P02", mistake.error_message
        few = connection.pgconn.exec_params(b"select $1::int, $2::int", [b"1"])
        assert few.error_field(pq.DiagnosticField.SQLSTATE) == b"08P01", few.error_message


def prepared():
    with connect(prepare_threshold=1) as connection:
        for number in range(20):
            row = connection.execute("select %s + count64 from events where event_id = 'e1'", (number,)).fetchone()
            assert row == (number + 8,), row
        raw = connection.pgconn
        assert raw.prepare(b"p", b"select event_id, count64 from events where count64 = $1").status == pq.ExecStatus.COMMAND_OK
        described = raw.describe_prepared(b"p")
        assert described.nparams == 1 and described.param_type(0) == 20, described.param_type(0)
        assert [described.fname(0), described.ftype(1)] == [b"event_id", 20]
        assert raw.exec_prepared(b"p", [b"8"]).get_value(0, 1) == b"8"
        twice = raw.prepare(b"p", b"select 1")
        assert twice.error_field(pq.DiagnosticField.SQLSTATE) == b"42P05", twice.error_message
        connection.execute("deallocate p")
        gone = raw.exec_prepared(b"p", [b"8"])
        assert gone.error_field(pq.DiagnosticField.SQLSTATE) == b"26000", gone.error_message
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", (number,)) for number in range(50)]
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))


def server_cursor():
    with connect(autocommit=False) as connection:
        for is_binary in (False, True):
            with connection.cursor("big", binary=is_binary) as cursor:
                cursor.itersize = 700
                cursor.execute("select value from generate_series(1, 5000) where value >= %s", (10,))
                assert cursor.description[0].name == "value", cursor.description
                assert [row[0] for row in cursor.fetchmany(1500)] == list(range(10, 1510))
                cursor.scroll(500)
                assert cursor.fetchone() == (2010,)
                for row, _ in zip(cursor, range(1000)):
                    pass
                assert row == (3010,), row
        connection.commit()
        connection.execute("declare c cursor for values (1), (2), (3)")
        assert connection.execute("fetch all from c").fetchall() == [(1,), (2,), (3,)]
        assert connection.execute("fetch 1 from c").fetchall() == []
        connection.commit()
        refused(errors.InvalidCursorName, connection.execute, "fetch 1 from c")
        connection.rollback()
        connection.execute("declare h cursor with hold for values (1), (2)")
        connection.commit()
        assert connection.execute("fetch h").fetchall() == [(1,)]
        connection.execute("close h")
    with connect() as connection:
        refused(errors.NoActiveSqlTransaction, connection.execute, "declare c cursor for select 1")


def transactions():
    with connect(autocommit=False) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        assert connection.info.transaction_status == pq.TransactionStatus.INTRANS
        refused(errors.UndefinedColumn, connection.execute, "select nothing from events")
        assert connection.info.transaction_status == pq.TransactionStatus.INERROR
        refused(errors.InFailedSqlTransaction, connection.execute, "select 1")
        connection.rollback()
        assert connection.info.transaction_status == pq.TransactionStatus.IDLE
        with connection.transaction():
            try:
                with connection.transaction():
                    connection.execute("select nothing from events")
            except errors.UndefinedColumn:
                pass
            assert connection.execute("select 2").fetchone() == (2,)
        connection.execute("set local application_name = 'inside'")
        assert connection.execute("show application_name").fetchone() == ("inside",)
        connection.commit()
        assert connection.execute("show application_name").fetchone() == ("",)


def settings():
    with connect(application_name="the test", options="-c statement_timeout=1min") as connection:
        ask = lambda sql: connection.execute(sql).fetchone()[0]
        assert ask("show application_name") == "the test"
        assert ask("show statement_timeout") == "1min"
        assert ask("show server_version").startswith("16"), ask("show server_version")
        assert ask("show transaction isolation level") == "read committed"
        assert ask("show standard_conforming_strings") == "on"
        assert ask("select current_setting('TimeZone')") == "UTC"
        assert connection.info.server_version == 160006
        connection.execute("set timezone to 'Europe/Berlin'")
        assert connection.info.parameter_status("TimeZone") == "Europe/Berlin"
        when = connection.execute("select event_time from events limit 1").fetchone()[0]
        assert when == datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, UTC), when
        connection.execute("reset timezone")
        assert connection.info.parameter_status("TimeZone") == "UTC"
        for sql in (
            "set session characteristics as transaction read only",
            "set extra_float_digits = 3",
            "set client_encoding to 'UTF8'",
            "set search_path = public",
            "set my.own = 'x'",
            "begin; commit; discard all",
            "unlisten *; reset all; close all",
        ):
            connection.execute(sql)
        refused(errors.UndefinedObject, connection.execute, "set no_such_thing = 1")
        refused(errors.UndefinedObject, connection.execute, "show no_such_thing")
        refused(errors.InvalidParameterValue, connection.execute, "set client_encoding to 'LATIN1'")
        refused(errors.InsufficientPrivilege, connection.execute, "set role postgres")


def mistakes():
    with connect() as connection:
        for sql, state in (
            ("select * from nothing", "42P01"),
            ("select nothing from events", "42703"),
            ("select nothing(1)", "42883"),
            ("selec 1", "42601"),
            ("select 'unfinished", "42601"),
            ("select 1/0", "22012"),
            ("select cast('x' as int)", "22P02"),
            ("select cast(error_code as int) from events", "22P02"),
            ("select pg_read_file('/etc/passwd')", "42883"),
            ("select pg_ls_dir('/')", "42883"),
            ("select lo_import('/etc/passwd')", "42883"),
            ("select * from pg_catalog.pg_read_file('/etc/passwd')", "42"),
            ("select * from '/etc/passwd'", "42"),
        ):
            error = refused(psycopg.Error, connection.execute, sql)
            assert error.sqlstate.startswith(state), (sql, error.sqlstate, str(error))
            assert "\0" not in str(error)
        for _ in range(3):
            assert connection.execute("select 1").fetchone() == (1,)
        error = refused(psycopg.Error, connection.execute, "select 1;\n  insert into events values (1)")
        assert error.diag.statement_position == "13", error.diag.statement_position


WRITES = """
insert into events values (1)
update events set event_id = 'x'
delete from events
merge into events using failures on true when matched then delete
truncate events
create table x (a int)
create table x as select * from events
select * into x from events
create view x as select 1
create external table x stored as csv location '/etc/passwd'
create function f() returns int return 1
create schema s
create database d
drop table events
drop view failures
alter table events rename to x
copy events to '/nowhere/door'
copy (select 1) to stdout
copy events from stdin
copy events to stdout
grant select on events to public
vacuum events
call f()
do 'begin end'
prepare p as insert into events values (1)
execute p
listen x
lock table events
with gone as (delete from events returning *) select * from gone
with new as (insert into events values (1) returning *) select * from new
explain insert into events values (1)
explain analyze insert into events values (1)
explain analyze copy (select 1) to '/nowhere/door'
explain create table x as select 1
select 1; drop table events
begin; drop table events; commit
set datafusion.catalog.information_schema = false
set role postgres
load 'x'
"""


def writes():
    with connect() as connection:
        tables = connection.execute("select count(*) from information_schema.tables").fetchone()
        for cursor in (connection.cursor, lambda: psycopg.ClientCursor(connection)):
            for sql in WRITES.strip().splitlines():
                error = refused(psycopg.Error, cursor().execute, sql)
                assert error.sqlstate in ("42501", "42601", "42704", "42000", "0A000"), (sql, error.sqlstate, str(error))
                connection.rollback()
        with psycopg.ClientCursor(connection) as cursor:
            refused(errors.InsufficientPrivilege, lambda: list(cursor.copy("copy events to stdout").__enter__()))
        assert connection.execute("select count(*) from events").fetchone() == (4,)
        assert connection.execute("select count(*) from information_schema.tables").fetchone() == tables
    assert not os.path.exists("/nowhere/door")


def wrong_password():
    states = []
    for user, password in ((USER, "wrong"), ("ghost", PASSWORD), ("ghost", "wrong"), (USER, "")):
        error = refused(psycopg.OperationalError, connect, user=user, password=password)
        if password:
            assert f'password authentication failed for user "{user}"' in str(error), error
        states.append(str(error))
    connect().close()


def several_statements():
    with connect() as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute("select 1; select 'a;b'; ; show server_version")
        results = [cursor.fetchall()]
        while cursor.nextset():
            results.append(cursor.fetchall())
        assert results[:2] == [[(1,)], [("a;b",)]] and len(results) == 3, results
        for empty in ("", ";", "-- nothing"):
            cursor.execute(empty)
        refused(errors.SyntaxError, connection.execute, "select %s; select 2", (1,))


def cancel():
    with connect() as connection:
        for _ in range(3):
            timer = threading.Timer(0.5, connection.cancel)
            timer.start()
            begun = time.monotonic()
            refused(errors.QueryCanceled, connection.execute, "select max(n) from endless")
            assert time.monotonic() - begun < 10
            timer.join()
        assert connection.execute("select 1").fetchone() == (1,)
        # Cancelled while nothing runs: the next statement is not hurt.
        connection.cancel()
        time.sleep(0.2)
        assert connection.execute("select 2").fetchone() == (2,)


def timeout():
    with connect() as connection:
        connection.execute("set statement_timeout = '300ms'")
        begun = time.monotonic()
        error = refused(errors.QueryCanceled, connection.execute, "select max(n) from endless")
        assert "statement timeout" in str(error) and time.monotonic() - begun < 10, error
        connection.execute("set statement_timeout = 0")
        assert connection.execute("select 1").fetchone() == (1,)


def server_timeout():
    """The server's own limit, which a client cannot lift."""
    with connect() as connection:
        for own in ("0", "1h"):
            connection.execute(f"set statement_timeout = '{own}'")
            error = refused(errors.QueryCanceled, connection.execute, "select max(n) from endless")
            assert "statement timeout" in str(error), error


def concurrent():
    failures = []

    def ask(number):
        try:
            with connect() as connection:
                for _ in range(5):
                    row = connection.execute("select %s::int, count(*) from events", (number,)).fetchone()
                    assert row == (number, 4), row
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def million():
    """A million rows in each way of asking, row by row."""
    sql = "select n, text from endless limit 1000000"
    with connect(autocommit=False) as connection:
        last = None
        for count, last in enumerate(connection.cursor().stream(sql), 1):
            pass
        assert (count, last[0]) == (1_000_000, 999_999), (count, last)
        raw = connection.pgconn
        raw.send_query(sql.encode())
        raw.set_single_row_mode()
        count = 0
        while (result := raw.get_result()) is not None:
            assert result.status != pq.ExecStatus.FATAL_ERROR, result.error_message
            count += result.ntuples
        assert count == 1_000_000, count


def lookups():
    with connect() as connection:
        ask = lambda sql, *values: connection.execute(sql, values).fetchall()
        assert ask("select current_database(), current_schema(), session_user") == [("trailhound", "public", USER)]
        assert ask("select current_user") == [(USER,)]
        assert "PostgreSQL 16" in ask("select version()")[0][0]
        assert ask("select pg_catalog.pg_is_in_recovery()") == [(False,)]
        assert ask("select pg_backend_pid()") == [(connection.info.backend_pid,)]
        names = ask("select table_name from information_schema.tables where table_schema = %s order by 1", "public")
        assert names == [("endless",), ("events",), ("failures",)], names
        columns = ask("""select column_name, data_type from information_schema.columns
                         where table_name = 'events' order by ordinal_position""")
        assert columns[0][0] == "event_id" and len(columns) == 10, columns
        names = ask("""select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where nspname = 'public' and relkind in ('r', 'v') order by 1""")
        assert names == [("endless",), ("events",), ("failures",)], names
        names = ask("""select attname, format_type(atttypid, atttypmod) from pg_attribute
                       where attrelid = 'events'::regclass and attnum > 0 order by attnum""")
        assert names[0] == ("event_id", "text") and names[1][1] == "timestamp with time zone", names


def names():
    """Names of types and tables, as text and as parameters; those of nothing are nothing."""
    with connect() as connection:
        ask = lambda sql, *values: connection.execute(sql, values).fetchall()
        oid = ask("select oid from pg_class where relname = 'events'")[0][0]
        for value, expected in (("events", oid), ("no_such_table", None)):
            assert ask("select to_regclass(%s)", value) == [(expected,)], value
            assert ask(f"select pg_catalog.to_regclass('{value}')") == [(expected,)], value
        for value, expected in (("text", [("text",)]), ("hstore", [])):
            assert ask("select typname from pg_type where oid = to_regtype(%s)", value) == expected, value
            assert ask("select typname from pg_type where oid = to_regtype(%s::text)", value) == expected, value
        assert ask("select inet_server_addr(), inet_server_port(), txid_current()") == [(None, None, 1)]
        refused(errors.UndefinedFunction, connection.execute, "select set_config('a.b', 'c', false)")
        # A subquery for each row: what the engine cannot plan has no value, what it can is counted.
        row = ask("""
            select c.relname,
                case when true then (select d.description from pg_description d where d.objoid = c.oid) end,
                case when true then (select count(*) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) end
            from pg_class c where c.relname = 'events'""")
        assert row == [("events", None, 10)], row


def sqlalchemy():
    from sqlalchemy import MetaData, Table, create_engine, func, inspect, select, types
    from sqlalchemy.engine import URL

    url = URL.create("postgresql+psycopg", USER, PASSWORD, "127.0.0.1", PORT, "trailhound")
    engine = create_engine(url)
    known = inspect(engine)
    assert known.get_table_names() == ["events"], known.get_table_names()
    assert sorted(known.get_view_names()) == ["endless", "failures"], known.get_view_names()
    assert known.has_table("events") and not known.has_table("nothing")
    columns = {column["name"]: column["type"] for column in known.get_columns("events")}
    assert len(columns) == 10, columns
    assert isinstance(columns["event_id"], types.String) and isinstance(columns["event_date"], types.Date), columns
    assert isinstance(columns["event_time"], types.DateTime) and columns["event_time"].timezone, columns
    assert isinstance(columns["tags"], types.ARRAY) and isinstance(columns["count64"], types.BigInteger), columns
    assert [column["name"] for column in known.get_columns("failures")] == list(columns)
    assert known.get_pk_constraint("events")["constrained_columns"] == [] and known.get_indexes("events") == []
    assert known.get_foreign_keys("events") == [] and known.get_unique_constraints("events") == []
    events = Table("events", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        asked = select(events.c.event_id, func.count()).where(events.c.count64 == 8).group_by(events.c.event_id)
        assert connection.execute(asked).all() == [("e1", 1)]
    engine.dispose()


def startup():
    """What other tools ask before their user asks anything, in both protocols."""
    with open(os.path.join(os.path.dirname(__file__), "startup.sql"), encoding="utf-8") as file:
        statements = file.read().split("----\n")[1:]
    assert len(statements) > 60, len(statements)
    with connect() as connection:
        for sql in statements:
            psycopg.ClientCursor(connection).execute(sql)
            result = connection.pgconn.exec_params(sql.encode(), [])
            assert result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK), (sql, result.error_message)


if __name__ == "__main__":
    globals()[sys.argv[1]]()

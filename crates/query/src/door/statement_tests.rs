use super::{Statement, Verb, statements};

fn one(text: &str) -> Verb {
    let mut all = statements(text).unwrap();
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0).unwrap_or_else(|problem| panic!("{text}: {problem:?}")).verb
}

#[test]
fn text_is_cut_where_the_parser_would() {
    let text = "select ';' as \"a;b\" -- ; no\n; /* ; */ select $$;$$, E'\\';' ;;\n  table é; select 2";
    let cut: Vec<Statement> = statements(text).unwrap().into_iter().map(Result::unwrap).collect();
    let texts: Vec<&str> = cut.iter().map(|statement| statement.sql.as_str()).collect();
    assert_eq!(texts, ["select ';' as \"a;b\" -- ; no", "select $$;$$, E'\\';'", "table é", "select 2"]);
    for statement in &cut {
        let rest: String = text.chars().skip(statement.before).collect();
        assert!(rest.starts_with(&statement.sql), "{statement:?}");
    }
}

#[test]
fn nothing_is_no_statement() {
    for text in ["", " ", ";", ";;\n", "-- only a comment", "/* a */;"] {
        assert!(statements(text).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn unfinished_text_is_a_syntax_error_with_its_place() {
    let problem = statements("select 'abc").unwrap_err();
    assert_eq!((problem.sqlstate.as_str(), problem.position), ("42601", Some(8)));
}

#[test]
fn what_is_no_query_is_refused() {
    for text in [
        "insert into events values (1)",
        "update events set a = 1",
        "delete from events",
        "merge into events using x on true when matched then delete",
        "truncate events",
        "create table x (a int)",
        "create view v as select 1",
        "create external table x stored as csv location '/etc/passwd'",
        "drop table events",
        "alter table events add column a int",
        "copy events to '/nowhere/x'",
        "copy (select 1) to stdout",
        "copy events from stdin",
        "grant all on events to public",
        "revoke all on events from public",
        "vacuum",
        "analyze events",
        "call x()",
        "do $$ begin end $$",
        "execute x",
        "prepare x as select 1",
        "listen x",
        "notify x",
        "lock table events",
        "load 'x'",
        "comment on table events is 'x'",
        "set role postgres",
        "set session authorization postgres",
        "prepare transaction 'x'",
        "commit prepared 'x'",
        "use x",
        "unload ('select 1') to 's3://x'",
        "\"select\" 1",
        "explain insert into events values (1)",
        "explain analyze verbose copy (select 1) to 'x'",
        "explain (analyze, format json) delete from events",
        "explain format tree create table x as select 1",
        "explain explain select 1",
        "explain",
        "describe insert into events values (1)",
        "declare c cursor for delete from events",
        "declare c cursor for declare d cursor for select 1",
    ] {
        let problem = statements(text).unwrap().remove(0).unwrap_err();
        assert!(matches!(problem.sqlstate.as_str(), "42501" | "42601"), "{text}: {problem:?}");
        assert!(problem.position.is_some(), "{text}");
    }
}

#[test]
fn the_first_words_say_what_a_statement_is() {
    for text in [
        "select 1",
        "(select 1)",
        "with a as (select 1) select * from a",
        "values (1)",
        "table events",
        "explain select 1",
        "explain analyze verbose select 1",
        "explain (analyze, format json) (select 1)",
        "explain (select 1)",
        "explain format tree with a as (select 1) table a",
        "show tables",
        "show columns from events",
        "describe events",
    ] {
        assert_eq!(one(text), Verb::Query, "{text}");
    }
    assert_eq!(one("begin isolation level serializable"), Verb::Begin);
    assert_eq!(one("start transaction read only"), Verb::Begin);
    assert_eq!(one("END"), Verb::Commit);
    assert_eq!(one("abort"), Verb::Rollback);
    assert_eq!(one("rollback to savepoint a"), Verb::RollbackTo);
    assert_eq!(one("discard all"), Verb::Discard);
    assert_eq!(one("deallocate \"A b\""), Verb::Deallocate(Some("A b".to_owned())));
    assert_eq!(one("show transaction isolation level"), Verb::Show("transaction_isolation".to_owned()));
    assert_eq!(one("SHOW Server_Version"), Verb::Show("server_version".to_owned()));
    assert_eq!(one("set session characteristics as transaction read only"), Verb::Nothing("SET"));
}

#[test]
fn settings_have_names_and_values() {
    for (text, name, value) in [
        ("set timezone = 'UTC'", "timezone", Some("UTC")),
        ("SET SESSION TIMEZONE TO 'Europe/Berlin'", "timezone", Some("Europe/Berlin")),
        ("set time zone 'UTC'", "timezone", Some("UTC")),
        ("set time zone -3", "timezone", Some("-3")),
        ("set time zone local", "timezone", None),
        ("set search_path to a, \"B\"", "search_path", Some("a, B")),
        ("set names 'utf8'", "client_encoding", Some("utf8")),
        ("set statement_timeout to default", "statement_timeout", None),
        ("set extra_float_digits = 3", "extra_float_digits", Some("3")),
        ("set application_name = ''", "application_name", Some("")),
        ("set my.own to on", "my.own", Some("on")),
    ] {
        let expected = Verb::Set { name: name.to_owned(), value: value.map(str::to_owned), local: false };
        assert_eq!(one(text), expected, "{text}");
    }
    assert!(matches!(one("set local timezone = 'UTC'"), Verb::Set { local: true, .. }));
    for text in ["set", "set a", "set a =", "set a = (select 1)"] {
        assert!(statements(text).unwrap().remove(0).is_err(), "{text}");
    }
}

#[test]
fn cursors_are_declared_fetched_and_closed() {
    let text = "declare \"My c\" no scroll cursor with hold for select  1 ";
    let declared = Verb::Declare { cursor: "My c".to_owned(), hold: true, query: "select  1".to_owned(), before: 46 };
    assert_eq!(one(text), declared);
    let fetch = |count| Verb::Fetch { cursor: "c".to_owned(), count };
    for (text, count) in [
        ("fetch c", Some(1)),
        ("fetch next from c", Some(1)),
        ("fetch 10 from c", Some(10)),
        ("fetch forward 10 in c", Some(10)),
        ("fetch forward all from c", None),
        ("fetch all in c", None),
    ] {
        assert_eq!(one(text), fetch(count), "{text}");
    }
    assert_eq!(one("move forward 3 from c"), Verb::Move { cursor: "c".to_owned(), count: Some(3) });
    assert_eq!(one("close all"), Verb::Close(None));
    for text in ["fetch prior from c", "fetch -1 from c", "declare c scroll cursor for select 1"] {
        assert_eq!(statements(text).unwrap().remove(0).unwrap_err().sqlstate, "0A000", "{text}");
    }
}

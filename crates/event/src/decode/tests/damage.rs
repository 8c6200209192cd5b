use super::*;

fn small() -> Vec<u8> {
    json!({"Records": recs(&["A", "B", "C", "D", "E", "F"])}).to_string().into_bytes()
}

#[test]
fn a_gzip_file_cut_off_at_any_byte_keeps_the_records_before_the_cut() {
    let file = gz(small());
    let mut most = 0;
    for cut in 0..file.len() {
        let decoded = decode(&file[..cut]);
        assert_eq!(decoded.rejected, [], "cut at {cut}");
        assert!(!decoded.damage().is_empty() || cut == 0, "cut at {cut}");
        let kept = decoded.names();
        assert_eq!(kept, ["A", "B", "C", "D", "E", "F"][..kept.len()], "cut at {cut}");
        assert!(kept.len() >= most, "cut at {cut}: more content gives no fewer records");
        most = kept.len();
    }
    // Only the trailer is missing: everything stands before it.
    assert_eq!(most, 6);
    assert!(decode(&file[..file.len() - 1]).damage().contains("cut off after"));
}

#[test]
fn a_plain_file_cut_off_at_any_byte_keeps_the_records_before_the_cut() {
    let file = small();
    for cut in 1..file.len() {
        let decoded = decode(&file[..cut]);
        let expected = (0..6).filter(|count| {
            let until: Value = recs(&["A", "B", "C", "D", "E", "F"][..=*count]);
            cut >= "{\"Records\":".len() + until.to_string().len() - 1
        });
        assert_eq!(decoded.names().len(), expected.count(), "cut at {cut}");
        assert!(
            decoded.damage().contains("cut off") && decoded.rejected.is_empty(),
            "cut at {cut}: {:?}",
            decoded.summary
        );
    }
}

#[test]
fn a_flipped_byte_in_a_gzip_file_is_named_and_never_a_panic() {
    let file = gz(small());
    for place in 0..file.len() {
        let mut broken = file.clone();
        broken[place] ^= 0x55;
        let decoded = decode(&broken);
        // The header's time, flags that only say what the file is called, and the system that wrote it mean nothing.
        let is_harmless = (3..10).contains(&place);
        assert!(is_harmless || !decoded.damage().is_empty() || decoded.summary.rejected > 0, "at {place}: {decoded:?}");
    }
}

#[test]
fn what_was_inflated_before_the_damage_is_kept() {
    let names: Vec<String> = (0..2000).map(|number| format!("N{number}")).collect();
    let mut file = gz(json!({"Records": names.iter().map(|name| rec(name)).collect::<Vec<_>>()}).to_string());
    let middle = file.len() / 2;
    for byte in &mut file[middle..middle + 40] {
        *byte = 0xff;
    }
    let decoded = decode(&file);
    assert!(decoded.names().len() > 500, "only {} records", decoded.names().len());
    assert!(decoded.damage().contains("damaged after"), "{:?}", decoded.damage());
}

#[test]
fn bytes_behind_the_last_member_are_damage_and_the_records_are_kept() {
    for tail in [&b"garbage"[..], b"\0\0\0\0", b"\x1f", b"\x1f\x8b\x08", b"{}"] {
        let decoded = decode([gz(small()).as_slice(), tail].concat());
        assert_eq!(decoded.names().len(), 6);
        assert!(decoded.damage().contains("gzip"), "{tail:?}: {}", decoded.damage());
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let limits = Limits { inflated: 1 << 20, ..Limits::default() };
    let mut bomb = json!({"Records": recs(&["A"])}).to_string().into_bytes();
    bomb.resize(64 << 20, b' ');
    for bytes in [gz(&bomb), [gz(&bomb[..1000]), gz(&bomb[1000..])].concat()] {
        let decoded = decode_with(&bytes, limits);
        assert_eq!(decoded.names(), ["A"]);
        assert!(decoded.damage().contains("limit of 1048576 bytes"), "{}", decoded.damage());
        assert_eq!(decoded.summary.inflated, 1 << 20);
    }
    let plain = decode_with(&bomb[..2 << 20], limits);
    assert_eq!((plain.names().len(), plain.summary.inflated), (1, 1 << 20));
    // Exactly the limit is no damage, in a table neither.
    let fits = decode_with(&gz(&bomb[..1 << 20]), limits);
    assert_eq!((fits.names().len(), fits.damage()), (1, ""));
    let table = format!("eventTime,eventName\n2026-01-15T12:00:00Z,{}\n", "x".repeat(100));
    let limits = Limits { inflated: table.len() as u64, ..Limits::default() };
    assert_eq!(decode_with(table.as_bytes(), limits).damage(), "");
    let limits = Limits { inflated: table.len() as u64 - 1, ..Limits::default() };
    assert!(decode_with(table.as_bytes(), limits).damage().contains("limit"));
}

/// `{"Records":[A, <what>, B]}` with the middle in bytes.
fn with_middle(what: &[u8]) -> Vec<u8> {
    [b"{\"Records\":[", rec("A").to_string().as_bytes(), b",", what, b",", rec("B").to_string().as_bytes(), b"]}"]
        .concat()
}

#[test]
fn one_bad_record_among_others_is_rejected_alone() {
    let deep = format!("{{\"eventName\":\"x\",\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"{\"eventName\": x}".to_vec(), "not valid JSON"),
        (b"{\"eventName\": \"x\" \"y\": 1}".to_vec(), "not valid JSON"),
        (b"{\"eventName\": \"}\\\"]\", \"a\": [{]]}".to_vec(), "not valid JSON"),
        (b"{\"eventName\": \"\xff\xfe\"}".to_vec(), "invalid UTF-8"),
        (b"{\"eventName\": \"cut \xe2\x82\"}".to_vec(), "invalid UTF-8"),
        (b"{\"eventName\": \"nul \0\"}".to_vec(), "not valid JSON"),
        (b"{\"eventName\": \"x\", \"\\ud800\": 1}".to_vec(), "not valid JSON"),
        (b"{}".to_vec(), "not a CloudTrail record"),
        (b"{\"some\": \"thing\"}".to_vec(), "not a CloudTrail record"),
        (b"{\"eventName\": \"x\"}".to_vec(), "no eventTime"),
        (b"{\"eventName\": \"x\", \"eventTime\": null}".to_vec(), "eventTime is not a time"),
        (b"{\"eventName\": \"x\", \"eventTime\": \"yesterday\"}".to_vec(), "eventTime is not a time"),
        (b"{\"eventName\": \"x\", \"eventTime\": \"9999-12-31T00:00:00Z\"}".to_vec(), "eventTime is not a time"),
        (b"null".to_vec(), "not a JSON object"),
        (b"\"text\"".to_vec(), "not a JSON object"),
        (b"-12.5e3".to_vec(), "not a JSON object"),
        (deep.into_bytes(), "nested deeper than 100"),
    ];
    for (middle, reason) in cases {
        let shown = String::from_utf8_lossy(&middle[..middle.len().min(60)]).into_owned();
        let decoded = decode(with_middle(&middle));
        assert_eq!((decoded.names(), decoded.damage()), (vec!["A".to_owned(), "B".to_owned()], ""), "{shown}");
        assert_eq!(decoded.rejected.len(), 1, "{shown}");
        let rejected = &decoded.rejected[0];
        assert!(rejected.reason.contains(reason), "{shown}: {}", rejected.reason);
        assert_eq!(rejected.number, 2, "{shown}");
        let kept = &middle[..middle.len().min(Rejected::KEPT)];
        assert_eq!(rejected.text, String::from_utf8_lossy(kept), "the text is kept");
    }
}

#[test]
fn what_is_odd_and_still_a_record_is_one() {
    let odd = [
        r#"{"eventName":"X","eventTime":"2026-01-15T12:00:00Z","n":123456789012345678901234567890.5e400}"#,
        r#"{"eventName":"Y","eventTime":"2026-01-15T12:00:00Z","a":"\ud800 lone"}"#,
        r#"{"eventName":"W","eventName":"Z","eventTime":"2026-01-15T12:00:00Z"}"#,
        r#"{"eventTime":"2026-01-15T12:00:00Z","eventSource":"x"}"#,
    ];
    let decoded = decode(odd.join("\n"));
    assert_eq!((decoded.records.len(), decoded.reasons()), (4, vec![]));
    assert!(decoded.records[0].contains("123456789012345678901234567890.5e400"), "numbers stay as they were written");
    assert!(decoded.records[1].contains(r"\ud800 lone"));
    assert!(decoded.records[2].contains("\"Z\"") && !decoded.records[2].contains("\"W\""), "the last of a name counts");
}

#[test]
fn nesting_and_size_count_inside_strings_too() {
    let deep = format!(
        "{{\"eventName\":\"x\",\"eventTime\":\"2026-01-15T12:00:00Z\",\"a\":{}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    let page = json!({"Events": [{"CloudTrailEvent": deep}, {"CloudTrailEvent": "{"}, {"CloudTrailEvent": rec("A").to_string()}]});
    let decoded = decode(page.to_string());
    assert_eq!(decoded.names(), ["A"]);
    assert_eq!(decoded.rejected[0].text, deep, "the record's own text is kept, not the envelope's");
    assert!(decoded.reasons()[0].contains("nested deeper") && decoded.reasons()[1].contains("not valid JSON"));
}

#[test]
fn a_broken_line_among_json_lines_is_rejected_alone() {
    let whole = rec("X").to_string();
    for cut in 1..whole.len() {
        if !whole.is_char_boundary(cut) {
            continue;
        }
        let decoded = decode(format!("{}\n{}\n{}\n{}\n", rec("A"), &whole[..cut], rec("B"), rec("C")));
        assert_eq!(decoded.names(), ["A", "B", "C"], "cut at {cut}: {:?}", decoded.summary);
        assert_eq!(
            (decoded.rejected[0].text.as_str(), decoded.damage()),
            (whole[..cut].trim_end(), ""),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_torn_last_line_is_rejected_with_its_text() {
    let torn = &rec("X").to_string()[..50];
    let decoded = decode(format!("{}\n{torn}", rec("A")));
    assert_eq!((decoded.names(), decoded.damage()), (vec!["A".to_owned()], ""));
    assert_eq!(decoded.rejected[0].text, torn);
}

#[test]
fn lines_that_are_no_json_among_json_lines_are_rejected_alone() {
    let odd: &[&[u8]] =
        &[b"# a comment", b"2026-01-15 INFO starting", b"\xff\xfe\xfd", b"]", b"\"unclosed", b"tru", b","];
    for line in odd {
        let content =
            [rec("A").to_string().as_bytes(), b"\n", line, b"\n", rec("B").to_string().as_bytes(), b"\n"].concat();
        let decoded = decode(content);
        assert_eq!(decoded.names(), ["A", "B"], "{:?}: {:?}", String::from_utf8_lossy(line), decoded.summary);
        assert_eq!((decoded.rejected.len(), decoded.damage()), (1, ""), "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn what_is_no_cloudtrail_at_all_is_said_once() {
    let utf16: Vec<u8> = "\u{feff}{\"Records\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, expected) in [
        (&b"# Read me\n\nThis is text.\nAnd more.\n"[..], "not JSON at \"# Read me"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not JSON"),
        (b"\0\0\0\0", "not JSON"),
        (b"PK\x03\x04", "not JSON"),
        (&utf16, "UTF-16"),
        (b"{", "cut off"),
        (b"[{\"eventName\"", "cut off"),
        (b"{\"Records\":[", "cut off"),
        (b"{\"Records\":[]", "cut off"),
        (b"{\"Records\":[] 5}", "not JSON at \"5}\""),
        (b"{\"Records\":[}", "not JSON at \"}\""),
        (b"{\"Records\":[],\"a\" 5}", "not JSON"),
    ] {
        let decoded = decode(content);
        assert!(decoded.damage().contains(expected), "{:?}: {:?}", String::from_utf8_lossy(content), decoded.summary);
        assert_eq!(decoded.summary.records(), 0);
    }
    for other in ["{\"a\": 1}", "{\"Records\": null}", "{\"Records\": {}}", "{\"Events\": 5}", "7", "\"x\"", "null"] {
        let decoded = decode(other);
        assert_eq!((decoded.rejected.len(), decoded.damage()), (1, ""), "{other}");
    }
}

#[test]
fn a_record_with_records_in_it_is_not_lost_silently() {
    let decoded = decode(r#"{"Records":[],"eventName":"Hidden","eventTime":"2026-01-15T12:00:00Z"}"#);
    assert_eq!(decoded.reasons(), ["a record with records in it"]);
}

#[test]
fn a_record_larger_than_the_limit_is_rejected_and_the_others_are_kept() {
    let limits = Limits { record: 2000, ..Limits::default() };
    let mut large = rec("L");
    large["requestParameters"] = json!({"x": "{\"y\\".repeat(1000)});
    let large = large.to_string();
    let broken = large.replace("\"awsRegion\":", "\"awsRegion\"");
    for middle in [&large, &broken] {
        let lines = format!("{}\n{middle}\n{}\n", rec("A"), rec("B"));
        for content in [with_middle(middle.as_bytes()), lines.into_bytes()] {
            let decoded = decode_with(&content, limits);
            assert_eq!((decoded.names(), decoded.damage()), (vec!["A".to_owned(), "B".to_owned()], ""));
            assert_eq!(decoded.reasons(), ["a record is larger than 2000 bytes (limits.max_record)"]);
            assert_eq!(&decoded.rejected[0].text, middle);
        }
    }
    // Cut off in the large record.
    let decoded = decode_with(&with_middle(large.as_bytes())[..6000], limits);
    assert_eq!(decoded.names(), ["A"]);
    assert!(decoded.damage().contains("larger than 2000 bytes"), "{}", decoded.damage());
}

#[test]
fn a_record_of_fifty_megabytes_is_skipped_with_its_start_kept() {
    let content = with_middle(format!("{{\"eventName\":\"{}\"}}", "x".repeat(50 << 20)).as_bytes());
    let whole = run(Decoder::default(), Content::Bytes(&content));
    let stream = streamed(&content, Limits::default(), WINDOW, &[1 << 20]);
    assert_eq!(stream, whole);
    assert_eq!((whole.names().len(), whole.reasons().len(), whole.rejected[0].text.len()), (2, 1, Rejected::KEPT));
}

#[test]
fn a_table_with_damage_keeps_its_sound_rows() {
    let header = "eventTime,eventSource,eventName,eventID\n";
    let row = |name: &str| format!("2026-01-15T12:00:00Z,iam.amazonaws.com,{name},id-{name}\n");
    let table = [header, &row("A"), "2026-01-15T12:00:00Z,x\n", &row("B"), "\"unclosed,x,y,z\n"].concat();
    let decoded = decode(&table);
    assert_eq!(decoded.names(), ["A", "B"]);
    assert_eq!(
        decoded.reasons(),
        ["a row of 2 cells in a table of 4 columns", "a row of 1 cells in a table of 4 columns"]
    );
    let bytes = [table.as_bytes(), b""].concat();
    let file = gz(&bytes[..header.len() + 2 * row("A").len()]);
    for cut in 1..file.len() {
        let decoded = decode(&file[..cut]);
        assert!(decoded.names().iter().all(|name| name == "A" || name == "B"), "no half cell: {:?}", decoded.names());
        assert!(!decoded.damage().is_empty(), "cut at {cut}");
    }
    let invalid =
        [header.as_bytes(), row("A").as_bytes(), b"2026-01-15T12:00:00Z,x,\xff,z\n", row("B").as_bytes()].concat();
    assert_eq!((decode(&invalid).names().len(), decode(&invalid).reasons()), (2, vec!["invalid UTF-8"]));
    let limits = Limits { record: 10_000, ..Limits::default() };
    let endless = [header.as_bytes(), row("A").as_bytes(), b"\"", &vec![b'x'; 1 << 20]].concat();
    let decoded = decode_with(&endless, limits);
    assert_eq!(decoded.names(), ["A"]);
    assert!(decoded.damage().contains("larger than 10000 bytes"), "{}", decoded.damage());
}

/// Gives the same lines again and again.
struct Endless {
    line: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = (&self.line[self.at..]).take(self.left).read(buffer)?;
        self.at = (self.at + some) % self.line.len();
        self.left -= some as u64;
        Ok(some)
    }
}

#[test]
fn two_hundred_megabytes_stream_a_batch_at_a_time() {
    // Half of each line is a record, half is no JSON: neither may pile up.
    let mut large = rec("A");
    large["padding"] = json!("x".repeat(200_000));
    let line = format!("{large}\n{{\"broken\": {}}}\n", "y".repeat(200_000)).into_bytes();
    let lines = (200 << 20) / line.len() as u64;
    let mut reader = Endless { left: lines * line.len() as u64, at: 0, line };
    let mut held = 0;
    let summary = Decoder::default().decode(Content::Reader(&mut reader), &mut |batch| {
        let rejected: usize = batch.rejected.iter().map(|rejected| rejected.text.len()).sum();
        let events: usize = batch.events.iter().filter_map(|event| event.rest().map(str::len)).sum();
        held = held.max(rejected + events);
        ControlFlow::Continue(())
    });
    assert_eq!((summary.events, summary.rejected, summary.damage), (lines, lines, None));
    assert!(held < 10 << 20, "{held} bytes were held at once");
}

#[test]
fn what_hides_between_a_member_and_a_copy_of_its_trailer_is_seen() {
    let member = gz(recs(&["A"]).to_string());
    let trailer = &member[member.len() - 8..];
    for hidden in [&b""[..], &b"hidden"[..], &[0; 100][..]] {
        let decoded = decode([&member[..], hidden, trailer].concat());
        assert_eq!((decoded.names().len(), decoded.summary.sealing), (1, Sealing::Broken), "{hidden:?}");
    }
    assert_eq!(decode(&member).summary.sealing, Sealing::Single);
}

#[test]
fn where_an_object_too_large_ends_does_not_hang_on_what_is_in_sight() {
    // Written over several lines, and no JSON only far behind the limit: a stream has passed over it long before.
    let records = serde_json::to_string(&recs(&["A"; 40])).expect("JSON");
    let broken = format!("{{\"no records\": [\n  {}, x]}}\n{}\n", &records[1..records.len() - 1], rec("B"));
    let limits = Limits { record: 933, ..Limits::default() };
    let decoded = decode_with(broken.as_bytes(), limits);
    assert_eq!(decoded.reasons(), ["a record is larger than 933 bytes (limits.max_record)"]);
    assert_eq!((decoded.names(), decoded.damage()), (vec!["B".to_owned()], ""));

    // Where the damage is in sight from the start, its line ends it, as a line of JSON lines that was cut off.
    let cut = format!("{{\"no records\": x [\n{}\n", rec("B"));
    assert_eq!(decode_with(cut.as_bytes(), limits).names(), ["B"]);
}

#[test]
fn what_is_no_json_is_shown_as_far_as_it_is_shown_however_little_is_in_sight() {
    let records = serde_json::to_string(&recs(&["A"; 40])).expect("JSON");
    let text = format!("{{\"Records\": {records} oh, what is this? And what is behind it?");
    for window in 16..80 {
        let damage = |text: &str| streamed(text.as_bytes(), Limits::default(), window, &[1]).summary.damage;
        let all = "not JSON at \"oh, what is this? And wh\", behind 40 complete records";
        assert_eq!(damage(&text).as_deref(), Some(all), "through a window of {window} bytes");
        let end = "not JSON at \"oh, wh\", behind 40 complete records";
        assert_eq!(damage(&text[..text.len() - 34]).as_deref(), Some(end), "through a window of {window} bytes");
    }
}

#[test]
fn a_row_before_one_too_large_is_whole_however_much_comes_at_a_time() {
    let row = |name: &str| format!("\"{}\"\n", rec(name).to_string().replace('"', "\"\""));
    let long = "x".repeat(2000);
    let rows: String = (0..14).map(|n| row(&format!("R{n}"))).collect();
    let table = format!("eventJson\n{rows}{long}\nthe end");
    let mut bytes = gz(&table);
    let length = bytes.len();
    bytes[length - 6] ^= 1;
    let decoded = decode_with(&bytes, Limits { record: 1500, ..Limits::default() });
    assert_eq!((decoded.names().len(), decoded.summary.rejected), (14, 0));
    assert!(decoded.damage().contains("the checksum does not fit"), "{}", decoded.damage());
}

use proptest::prelude::*;

use super::*;

/// A record, more or less: names, sizes and shapes vary, and some are none.
fn any_record() -> impl Strategy<Value = Value> {
    let text = prop_oneof![Just(String::new()), "[a-z{}\\[\\]\",:\\\\ é\n]{0,40}", Just("x".repeat(300))];
    (text, any::<u8>()).prop_map(|(text, kind)| {
        let mut record = rec("R");
        record["requestParameters"] = json!({"text": text, "list": [text, null, 1.0]});
        record["unknown"] = json!(text);
        match kind {
            0..8 => record = json!({"no": "record"}),
            8..16 => record["eventTime"] = json!(text),
            16..24 => record["eventCategory"] = json!("Insight"),
            24..32 => record = Value::Null,
            _ => {}
        }
        record
    })
}

fn any_document() -> impl Strategy<Value = String> {
    (proptest::collection::vec(any_record(), 0..6), 0..9u8, any::<bool>()).prop_map(|(records, shape, pretty)| {
        let lines = |values: Vec<Value>| values.iter().map(|value| format!("{value}\n")).collect::<String>();
        let document = match shape {
            0 => json!({"Records": records}),
            1 => json!({"Version": "x", "Records": records, "after": [1, {"a": null}], "number": 12}),
            2 => json!(records),
            3 => return lines(records),
            4 => return lines(records).replace('\n', "\r\n"),
            5 => json!({"Events": records.iter().map(|r| json!({"EventTime": 1_768_478_400, "CloudTrailEvent": r.to_string()})).collect::<Vec<_>>(), "NextToken": "t"}),
            6 => return lines(records.iter().map(|r| json!({"version": "0", "detail": r})).collect()),
            7 => json!([{"Records": records}, {"Records": records}]),
            _ => {
                let row = |r: &Value| format!("\"{}\",x\n", r.to_string().replace('"', "\"\""));
                return format!("eventJson,other\n{}", records.iter().map(row).collect::<String>());
            }
        };
        if pretty { serde_json::to_string_pretty(&document).expect("JSON") } else { document.to_string() }
    })
}

#[derive(Debug, Clone)]
enum Damage {
    None,
    Cut(prop::sample::Index),
    Byte(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let odd = prop_oneof![
        Just(b"\xff".to_vec()),
        Just(b"\xe2\x82".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"}".to_vec()),
        Just(b"]".to_vec()),
        Just(b"{".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\n# no JSON\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
    ];
    prop_oneof![
        Just(Damage::None),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<prop::sample::Index>(), odd).prop_map(|(at, odd)| Damage::Insert(at, odd)),
        (any::<prop::sample::Index>(), 1..60usize).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: Damage) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    match damage {
        Damage::None => {}
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Byte(at, byte) => bytes[at.index(length)] = byte,
        Damage::Insert(at, odd) => drop(bytes.splice(at.index(length)..at.index(length), odd)),
        Damage::Remove(at, count) => drop(bytes.drain(at.index(length)..(at.index(length) + count).min(length))),
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The fast way over content in memory is the slow one over a stream in tiny pieces through a tiny window, byte for
    /// byte, whatever the envelope and whatever is wrong with it.
    #[test]
    fn streaming_is_whole(
        documents in proptest::collection::vec(any_document(), 1..3),
        before in any_damage(),
        members in 0..3usize,
        after in any_damage(),
        window in 16..2000usize,
        pieces in proptest::collection::vec(1..200usize, 1..5),
        record in prop_oneof![Just(16usize << 20), 100..2000usize],
        inflated in prop_oneof![Just(1u64 << 30), 0..6000u64],
    ) {
        let plain = damaged(documents.concat().into_bytes(), before);
        let bytes = match members {
            0 => plain,
            1 => gz(&plain),
            _ => plain.chunks(plain.len() / 2 + 1).map(gz).collect::<Vec<_>>().concat(),
        };
        let bytes = damaged(bytes, after);
        let limits = Limits { record, inflated, ..Limits::default() };
        let whole = run(Decoder::new(limits), Content::Bytes(&bytes));
        let stream = streamed(&bytes, limits, window, &pieces);
        prop_assert_eq!(&stream.summary, &whole.summary);
        prop_assert_eq!(stream.reasons(), whole.reasons());
        prop_assert_eq!(stream, whole);
    }
}

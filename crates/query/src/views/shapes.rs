//! A record's inner documents, which the table keeps as JSON text, in the types that CloudTrail Lake and Athena give
//! them: structs, lists and maps.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, ListArray, MapArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::cast::as_string_view_array;
use datafusion::common::{Result, exec_err};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use event::Timestamp;
use serde_json::Value;

/// The functions that the views are made of, and the type that each gives.
static SHAPES: [(&str, &LazyLock<DataType>); 6] = [
    ("lake_user_identity", &LAKE_USER_IDENTITY),
    ("athena_user_identity", &ATHENA_USER_IDENTITY),
    ("record_resources", &RESOURCES),
    ("record_addendum", &ADDENDUM),
    ("record_tls", &TLS),
    (JSON_MAP, &MAP),
];
/// The function that makes a map of a JSON object.
pub(super) const JSON_MAP: &str = "json_map";

/// Registers the functions that the views are made of.
pub(crate) fn register(context: &SessionContext) {
    for (name, shape) in SHAPES {
        context.register_udf(ScalarUDF::from(Shape::new(name, (**shape).clone())));
    }
}

/// The type that a function of the views gives, as Athena writes the type that JSON is cast to. Times are text in it:
/// Athena casts JSON to none.
pub(super) fn athena_type(function: &str) -> Option<String> {
    SHAPES.iter().find(|(name, _)| *name == function).map(|(_, shape)| written(shape))
}

fn written(shape: &DataType) -> String {
    match shape {
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| format!("\"{}\" {}", field.name(), written(field.data_type()));
            format!("row({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::List(item) => format!("array({})", written(item.data_type())),
        DataType::Map(_, _) => "map(varchar, varchar)".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        _ => "varchar".to_owned(),
    }
}

fn structure(fields: impl IntoIterator<Item = (&'static str, DataType)>) -> DataType {
    let field = |(name, kind): (&'static str, DataType)| Field::new(name, kind, true);
    DataType::Struct(fields.into_iter().map(field).collect())
}

fn texts(names: &[&'static str]) -> DataType {
    structure(names.iter().map(|&name| (name, DataType::Utf8View)))
}

static MAP: LazyLock<DataType> = LazyLock::new(|| {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Utf8View, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
});

fn user_identity(creation: DataType, mfa: DataType) -> DataType {
    let text = DataType::Utf8View;
    let session = structure([
        ("attributes", structure([("creationdate", creation), ("mfaauthenticated", mfa)])),
        ("sessionissuer", texts(&["type", "principalid", "arn", "accountid", "username"])),
        ("webidfederationdata", structure([("federatedprovider", text.clone()), ("attributes", MAP.clone())])),
        ("sourceidentity", text.clone()),
        ("ec2roledelivery", text.clone()),
        ("ec2issuedinvpc", text.clone()),
    ]);
    structure([
        ("type", text.clone()),
        ("principalid", text.clone()),
        ("arn", text.clone()),
        ("accountid", text.clone()),
        ("invokedby", text.clone()),
        ("accesskeyid", text.clone()),
        ("username", text.clone()),
        ("sessioncontext", session),
        ("onbehalfof", texts(&["userid", "identitystorearn"])),
        ("inscopeof", texts(&["sourcearn", "sourceaccount", "issuertype", "credentialsissuedto"])),
        ("identityprovider", text.clone()),
        ("credentialid", text),
    ])
}

static LAKE_USER_IDENTITY: LazyLock<DataType> =
    LazyLock::new(|| user_identity(DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Boolean));
static ATHENA_USER_IDENTITY: LazyLock<DataType> =
    LazyLock::new(|| user_identity(DataType::Utf8View, DataType::Utf8View));
static RESOURCES: LazyLock<DataType> = LazyLock::new(|| {
    DataType::List(Arc::new(Field::new("item", texts(&["arn", "accountid", "type", "arnprefix"]), true)))
});
static ADDENDUM: LazyLock<DataType> =
    LazyLock::new(|| texts(&["reason", "updatedfields", "originalrequestid", "originaleventid"]));
static TLS: LazyLock<DataType> = LazyLock::new(|| texts(&["tlsversion", "ciphersuite", "clientprovidedhostheader"]));

/// A function from JSON text to a type.
#[derive(Debug)]
struct Shape {
    name: &'static str,
    shape: DataType,
    signature: Signature,
}

impl Shape {
    fn new(name: &'static str, shape: DataType) -> Shape {
        let texts = [DataType::Utf8View, DataType::Utf8, DataType::LargeUtf8, DataType::Null];
        let signature = TypeSignature::Uniform(1, texts.to_vec());
        Shape { name, shape, signature: Signature::new(signature, Volatility::Immutable) }
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Shape {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.shape.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(documents) = arguments.args.into_iter().next() else {
            return exec_err!("{} takes a JSON document", self.name);
        };
        let documents = cast(&documents.into_array(arguments.number_rows)?, &DataType::Utf8View)?;
        let documents = as_string_view_array(&documents)?;
        // A stranger's text that is no JSON is as good as none.
        let values: Vec<Option<Value>> =
            documents.iter().map(|text| text.and_then(|text| serde_json::from_str(text).ok())).collect();
        let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
        Ok(ColumnarValue::Array(shaped(&self.shape, &values)?))
    }
}

/// JSON values as a column of a type. What does not fit is null; a document where text is wanted is its JSON.
fn shaped(shape: &DataType, values: &[Option<&Value>]) -> Result<ArrayRef> {
    Ok(match shape {
        DataType::Struct(fields) => {
            let of_field = |field: &Arc<Field>| -> Result<ArrayRef> {
                let inner: Vec<Option<&Value>> = values.iter().map(|value| member((*value)?, field.name())).collect();
                shaped(field.data_type(), &inner)
            };
            let columns = fields.iter().map(of_field).collect::<Result<Vec<_>>>()?;
            let there = values.iter().map(|value| value.is_some_and(Value::is_object));
            let there: NullBuffer = there.collect::<Vec<bool>>().into();
            Arc::new(StructArray::try_new(fields.clone(), columns, Some(there))?)
        }
        DataType::List(item) => {
            let lists: Vec<Option<&Vec<Value>>> = values.iter().map(|value| (*value)?.as_array()).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let items: Vec<Option<&Value>> = lists.iter().flatten().flat_map(|list| list.iter().map(Some)).collect();
            let there: NullBuffer = lists.iter().map(Option::is_some).collect::<Vec<bool>>().into();
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, shaped(item.data_type(), &items)?, Some(there))?)
        }
        DataType::Map(entries, sorted) => {
            let maps: Vec<_> = values.iter().map(|value| (*value)?.as_object()).collect();
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.map_or(0, serde_json::Map::len)));
            let keys: StringViewArray = maps.iter().flatten().flat_map(|map| map.keys()).map(Some).collect();
            let texts: Vec<Option<&Value>> = maps.iter().flatten().flat_map(|map| map.values().map(Some)).collect();
            let DataType::Struct(fields) = entries.data_type() else {
                return exec_err!("a map has keys and values");
            };
            let pairs = vec![Arc::new(keys) as ArrayRef, shaped(&DataType::Utf8View, &texts)?];
            let pairs = StructArray::try_new(fields.clone(), pairs, None)?;
            let there: NullBuffer = maps.iter().map(Option::is_some).collect::<Vec<bool>>().into();
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(there), *sorted)?)
        }
        DataType::Boolean => {
            let truth = |value: &Option<&Value>| match (*value)? {
                Value::Bool(truth) => Some(*truth),
                Value::String(text) => text.to_ascii_lowercase().parse().ok(),
                _ => None,
            };
            Arc::new(values.iter().map(truth).collect::<BooleanArray>())
        }
        DataType::Timestamp(_, zone) => {
            let time = |value: &Option<&Value>| Timestamp::parse((*value)?.as_str()?).map(Timestamp::micros);
            let times: TimestampMicrosecondArray = values.iter().map(time).collect();
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        _ => {
            let text = |value: &Option<&Value>| match (*value)? {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            Arc::new(values.iter().map(text).collect::<StringViewArray>())
        }
    })
}

/// A member by its name in lower case, as SQL spells columns.
fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::util::display::array_value_to_string;

    fn shown(shape: &DataType, documents: &[Option<&str>]) -> Vec<String> {
        let values: Vec<Option<Value>> =
            documents.iter().map(|text| text.and_then(|text| serde_json::from_str(text).ok())).collect();
        let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
        let column = shaped(shape, &values).expect("a column");
        (0..column.len()).map(|row| array_value_to_string(&column, row).expect("text")).collect()
    }

    #[test]
    fn members_are_found_whatever_their_case_and_misfits_are_null() {
        let documents = [Some(r#"{"tlsVersion":"TLSv1.3","cipherSuite":7}"#), Some("[]"), Some("{"), None];
        assert_eq!(
            shown(&TLS, &documents),
            ["{tlsversion: TLSv1.3, ciphersuite: 7, clientprovidedhostheader: }", "", "", ""]
        );
    }

    #[test]
    fn maps_keep_what_is_nested_as_json() {
        let documents = [Some(r#"{"bucketName":"b","acl":{"a":[1]},"none":null}"#), Some("\"x\"")];
        assert_eq!(shown(&MAP, &documents), [r#"{bucketName: b, acl: {"a":[1]}, none: }"#, ""]);
    }

    #[test]
    fn lists_of_resources_keep_their_order() {
        let documents = [Some(r#"[{"ARN":"arn:1","type":"T"},{"accountId":"2"},5]"#), Some("[]"), None];
        let column = shown(&RESOURCES, &documents);
        assert_eq!(
            column[0],
            "[{arn: arn:1, accountid: , type: T, arnprefix: }, {arn: , accountid: 2, type: , arnprefix: }, ]"
        );
        assert_eq!(column[1..], ["[]", ""]);
    }

    #[test]
    fn times_and_truths_are_typed_for_cloudtrail_lake() {
        let document = r#"{"type":"AssumedRole","sessionContext":{"attributes":{"creationDate":"2026-01-02T03:04:05Z","mfaAuthenticated":"true"}}}"#;
        let lake = shown(&LAKE_USER_IDENTITY, &[Some(document)]);
        assert!(lake[0].contains("creationdate: 2026-01-02T03:04:05, mfaauthenticated: true"), "{}", lake[0]);
        let athena = shown(&ATHENA_USER_IDENTITY, &[Some(document)]);
        assert!(athena[0].contains("creationdate: 2026-01-02T03:04:05Z, mfaauthenticated: true"), "{}", athena[0]);
    }
}

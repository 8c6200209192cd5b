//! A list that another condition makes true is looked up in no row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};

use super::{rows, session};

#[tokio::test]
async fn a_list_that_a_value_of_it_implies_is_left_out() {
    let context = session();
    let kinds = [Some("iam"), Some("sts"), None, Some("s3"), Some("sts")];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("kind", Arc::new(StringViewArray::from(kinds.to_vec()))),
        ("number", Arc::new(Int64Array::from_iter_values(0..5))),
    ];
    context.register_batch("raw", RecordBatch::try_from_iter(columns).expect("columns")).expect("a new table");
    let view = "CREATE VIEW identity AS SELECT * FROM raw WHERE kind IN ('iam', 'sts', 'signin', 'sso')";
    context.sql(view).await.expect("a view").collect().await.expect("a view");
    for (condition, numbers, is_left_out) in [
        ("kind = 'sts'", "14", true),
        ("'sts' = kind AND number > 1", "4", true),
        // These are none that imply it.
        ("kind = 's3'", "", false),
        ("number = 1", "1", false),
        ("lower(kind) = 'sts'", "14", false),
        ("kind <> 'sts'", "0", false),
        ("kind = 'sts' OR number = 0", "014", false),
        ("kind NOT IN ('iam', 'a', 'b', 'c') AND kind = 'iam'", "", false),
    ] {
        let asked = format!("SELECT number FROM identity WHERE {condition} ORDER BY number");
        let found = rows(&context, &asked).await.expect(&asked).concat().concat();
        assert_eq!(found, numbers, "{condition}");
        let plan = rows(&context, &format!("EXPLAIN {asked}")).await.expect(&asked).concat().concat();
        assert_eq!(!plan.contains("signin"), is_left_out, "{condition}:\n{plan}");
    }
}

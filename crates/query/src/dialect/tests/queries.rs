//! Queries as AWS's documentation of Athena, CloudTrail Lake and S3 writes them, and as people paste them.

use super::tables::{Record, tables};
use crate::functions::tests::rows;

pub(super) const RECORDS: &[Record] = &[
    Record(
        r#"{"eventversion":"1.08","useridentity":{"type":"IAMUser","principalid":"AIDA1","arn":"arn:aws:iam::111111111111:user/alice","accountid":"111111111111","accesskeyid":"AKIA1","username":"alice"},
        "eventtime":"2024-03-14T10:00:00Z","eventsource":"signin.amazonaws.com","eventname":"ConsoleLogin","awsregion":"us-east-1","sourceipaddress":"203.0.113.5","useragent":"Mozilla/5.0",
        "responseelements":{"ConsoleLogin":"Success"},"additionaleventdata":{"MFAUsed":"No","LoginTo":"https://console.aws.amazon.com"},"eventid":"e1","readonly":false,"managementevent":true,"recipientaccountid":"111111111111","eventcategory":"Management"}"#,
    ),
    Record(
        r#"{"eventversion":"1.08","useridentity":{"type":"AssumedRole","principalid":"AROA1:bob","arn":"arn:aws:sts::111111111111:assumed-role/Admin/bob","accountid":"111111111111","accesskeyid":"ASIA1","sessioncontext":{"attributes":{"creationdate":"2024-03-14T09:00:00Z","mfaauthenticated":"false"},"sessionissuer":{"type":"Role","principalid":"AROA1","arn":"arn:aws:iam::111111111111:role/Admin","accountid":"111111111111","username":"Admin"}}},
        "eventtime":"2024-03-14T11:30:00Z","eventsource":"s3.amazonaws.com","eventname":"DeleteObject","awsregion":"eu-west-1","sourceipaddress":"198.51.100.7","useragent":"aws-cli/2.0","errorcode":"AccessDenied","errormessage":"Access Denied",
        "requestparameters":{"bucketName":"secrets","key":"a/b.txt"},"eventid":"e2","readonly":false,"resources":[{"type":"AWS::S3::Object","arnprefix":null,"arn":"arn:aws:s3:::secrets/a/b.txt"},{"type":"AWS::S3::Bucket","accountid":"111111111111","arn":"arn:aws:s3:::secrets"}],"managementevent":false,"recipientaccountid":"111111111111","eventcategory":"Data","tlsdetails":{"tlsversion":"TLSv1.2","ciphersuite":"x"}}"#,
    ),
    Record(
        r#"{"eventversion":"1.08","useridentity":{"type":"Root","principalid":"111111111111","arn":"arn:aws:iam::111111111111:root","accountid":"111111111111"},
        "eventtime":"2023-01-05T08:00:00Z","eventsource":"iam.amazonaws.com","eventname":"CreateAccessKey","awsregion":"us-east-1","sourceipaddress":"203.0.113.5","requestparameters":{"userName":"alice"},
        "responseelements":{"accessKey":"{\"userName\":\"alice\",\"accessKeyId\":\"AKIA2\"}"},"eventid":"e3","readonly":false,"managementevent":true,"recipientaccountid":"111111111111","eventcategory":"Management"}"#,
    ),
];

pub(super) const LOGS: &[Record] = &[
    Record(
        r#"{"useridentity":{"type":"IAMUser","arn":"arn:aws:iam::111111111111:user/alice","accountid":"111111111111","username":"alice"},
        "eventtime":"2024-03-14T10:00:00Z","eventsource":"signin.amazonaws.com","eventname":"ConsoleLogin","awsregion":"us-east-1","sourceipaddress":"203.0.113.5","useragent":"Mozilla/5.0",
        "responseelements":"{\"ConsoleLogin\":\"Success\"}","additionaleventdata":"{\"MFAUsed\":\"No\"}","eventid":"e1","year":"2024","month":"03","day":"14","region":"us-east-1","timestamp":"2024/03/14"}"#,
    ),
    Record(
        r#"{"useridentity":{"type":"AssumedRole","arn":"arn:aws:sts::111111111111:assumed-role/Admin/bob","accountid":"111111111111","sessioncontext":{"attributes":{"creationdate":"2024-03-14T09:00:00Z","mfaauthenticated":"false"},"sessionissuer":{"type":"Role","arn":"arn:aws:iam::111111111111:role/Admin","username":"Admin"}}},
        "eventtime":"2024-03-14T11:30:00Z","eventsource":"s3.amazonaws.com","eventname":"PutObject","awsregion":"eu-west-1","sourceipaddress":"198.51.100.7","useragent":"aws-cli/2.0","errorcode":"AccessDenied",
        "requestparameters":"{\"bucketName\":\"secrets\",\"key\":\"a/b.txt\",\"tags\":[\"x\",\"y\"],\"ipPermissions\":{\"items\":[{\"fromPort\":22,\"cidr\":\"0.0.0.0/0\"}]}}","additionaleventdata":"{\"SignatureVersion\":\"SigV2\",\"aclRequired\":\"Yes\",\"x-amz-id-2\":\"z\"}","eventid":"e2",
        "resources":[{"arn":"arn:aws:s3:::secrets/a/b.txt","type":"AWS::S3::Object"},{"arn":"arn:aws:s3:::secrets","accountid":"111111111111","type":"AWS::S3::Bucket"}],"year":"2024","month":"03","day":"14","region":"eu-west-1","timestamp":"2024/03/14","tlsdetails":{"tlsversion":"TLSv1.2"}}"#,
    ),
];

pub(super) const IAM_EVENTS: &[Record] = &[Record(
    r#"{"event_date":"2024-03-14","event_id":"e1","event_time":"2024-03-14T10:00:00+00:00","event_name":"ConsoleLogin","event_source":"signin.amazonaws.com","event_type":"signin","user_name":"alice","aws_region":"us-east-1","source_ip":"203.0.113.5","request_parameters":"{}","response_elements":"{\"ConsoleLogin\":\"Failure\"}","error_message":"Failed authentication","year":"2024","month":"3","day":"14","region":"us-east-1","account_id":"111111111111"}"#,
)];

/// Each query, and its rows: values by `|`, rows by newlines.
const QUERIES: &[(&str, &str)] = &[
    // Athena, "Querying AWS CloudTrail logs".
    (
        "SELECT\n useridentity.arn,\n eventname,\n sourceipaddress,\n eventtime\nFROM cloudtrail_logs\nLIMIT 100;",
        "arn:aws:iam::111111111111:user/alice|ConsoleLogin|203.0.113.5|2024-03-14T10:00:00Z\narn:aws:sts::111111111111:assumed-role/Admin/bob|PutObject|198.51.100.7|2024-03-14T11:30:00Z",
    ),
    (
        "SELECT\n  useridentity.username,\n  sourceipaddress,\n  eventtime,\n  additionaleventdata\nFROM default.cloudtrail_logs\nWHERE eventname = 'ConsoleLogin'\n  AND eventtime >= '2017-02-17T00:00:00Z'\n  AND eventtime < '2025-02-18T00:00:00Z';",
        "alice|203.0.113.5|2024-03-14T10:00:00Z|{\"MFAUsed\":\"No\"}",
    ),
    (
        "SELECT eventname,\n         useridentity.username,\n         sourceIPAddress,\n         eventtime,\n         requestparameters\nFROM cloudtrail_logs\nWHERE (requestparameters like '%sg-5887f224%'\n        or requestparameters like '%sg-e214609e%'\n        or requestparameters like '%eni-6c5ca5a8%')\n        and eventtime > '2017-02-15T00:00:00Z'\norder by eventtime asc;",
        "",
    ),
    (
        "SELECT\n  eventsource,\n  eventname,\n  useridentity.sessioncontext.attributes.creationdate,\n  useridentity.sessioncontext.sessionissuer.arn\nFROM cloudtrail_logs\nWHERE useridentity.sessioncontext.sessionissuer.arn IS NOT NULL\nORDER BY eventsource, eventname\nLIMIT 10",
        "s3.amazonaws.com|PutObject|2024-03-14T09:00:00Z|arn:aws:iam::111111111111:role/Admin",
    ),
    (
        "SELECT\n  eventsource,\n  useridentity.sessionContext.sessionIssuer.userName,\n  count(*) AS calls\nFROM \"default\".\"cloudtrail_logs\"\nWHERE \"eventName\" <> 'x' AND \"userIdentity\".\"type\" = 'AssumedRole'\nGROUP BY 1, 2\nORDER BY 3 DESC",
        "s3.amazonaws.com|Admin|1",
    ),
    // S3, "Identifying Amazon S3 requests using CloudTrail".
    (
        "SELECT\n  eventTime,\n  eventName,\n  eventSource,\n  sourceIpAddress,\n  userAgent,\n  json_extract_scalar(requestParameters, '$.bucketName') as bucketName,\n  json_extract_scalar(requestParameters, '$.key') as object,\n  userIdentity.arn as userArn\nFROM\n  s3_cloudtrail_events_db.cloudtrail_table\nWHERE\n  eventName = 'PutObject'\n  AND eventTime BETWEEN '2024-03-05T00:00:00Z' and '2024-03-20T00:00:00Z'",
        "2024-03-14T11:30:00Z|PutObject|s3.amazonaws.com|198.51.100.7|aws-cli/2.0|secrets|a/b.txt|arn:aws:sts::111111111111:assumed-role/Admin/bob",
    ),
    (
        "SELECT EventTime,\n       eventName,\n       eventVersion,\n       requestParameters,\n       eventType,\n       awsRegion,\n       useridentity.accountid,\n       userAgent\nFROM s3_cloudtrail_events_db.cloudtrail_table_partitioned\nWHERE eventsource = 's3.amazonaws.com'\n  AND json_extract_scalar(additionalEventData, '$.SignatureVersion') = 'SigV2'\n  AND eventName='Nothing'",
        "",
    ),
    (
        "SELECT eventname, json_extract_scalar(additionalEventData, '$[\"x-amz-id-2\"]') id\nFROM cloudtrail_logs_pp\nWHERE json_extract_scalar(additionalEventData, '$.aclRequired') = 'Yes' AND cloudtrail_logs_pp.eventname LIKE 'Put%'",
        "PutObject|z",
    ),
    // As people paste them from consoles and blogs.
    (
        "SELECT date(from_iso8601_timestamp(eventtime)) AS day, count_if(errorcode = 'AccessDenied') AS denied, count(*) AS total\nFROM \"awsdatacatalog\".\"default\".\"cloudtrail_logs_aws_cloudtrail_logs_111111111111_abc\"\nWHERE from_iso8601_timestamp(eventtime) > date_add('day', -7, now())\nGROUP BY date(from_iso8601_timestamp(eventtime))\nORDER BY 1",
        "2024-03-14|1|2",
    ),
    (
        "SELECT eventid, r.arn, r.type\nFROM cloudtrail_logs\nCROSS JOIN UNNEST(resources) AS t(r)\nWHERE r.type = 'AWS::S3::Bucket'",
        "e2|arn:aws:s3:::secrets|AWS::S3::Bucket",
    ),
    (
        "SELECT eventid, t.type FROM cloudtrail_logs, UNNEST(resources) AS t(arn, accountid, type) ORDER BY t.type",
        "e2|AWS::S3::Bucket\ne2|AWS::S3::Object",
    ),
    (
        "SELECT eventid, tag, n FROM cloudtrail_logs l\nCROSS JOIN UNNEST(CAST(json_extract(requestparameters, '$.tags') AS array(varchar))) WITH ORDINALITY AS t(tag, n)\nORDER BY n",
        "e2|x|1\ne2|y|2",
    ),
    (
        "WITH rules AS (\n  SELECT eventid, item\n  FROM cloudtrail_logs\n  CROSS JOIN UNNEST(CAST(json_extract(requestparameters, '$.ipPermissions.items') AS array(json))) AS t(item)\n)\nSELECT eventid, json_extract_scalar(item, '$.cidr') AS cidr, CAST(json_extract(item, '$.fromPort') AS integer) AS port FROM rules",
        "e2|0.0.0.0/0|22",
    ),
    (
        "SELECT eventid, arn FROM cloudtrail_logs LEFT JOIN UNNEST(transform(resources, r -> r)) AS t(arn, accountid, type) ON TRUE ORDER BY eventid, arn",
        "e1|null\ne2|arn:aws:s3:::secrets\ne2|arn:aws:s3:::secrets/a/b.txt",
    ),
    (
        "SELECT resources[1].arn, element_at(resources, 2).type FROM cloudtrail_logs WHERE cardinality(resources) > 1",
        "arn:aws:s3:::secrets/a/b.txt|AWS::S3::Bucket",
    ),
    (
        "SELECT eventname, max_by(sourceipaddress, eventtime) AS last_ip, min_by(eventid, eventtime), arbitrary(awsregion)\nFROM cloudtrail_logs GROUP BY eventname HAVING count(*) >= 1 ORDER BY eventname",
        "ConsoleLogin|203.0.113.5|e1|us-east-1\nPutObject|198.51.100.7|e2|eu-west-1",
    ),
    (
        "SELECT eventid, row_number() OVER (PARTITION BY year ORDER BY eventtime DESC) AS n,\n  lag(eventname) OVER (ORDER BY eventtime) AS before, max_by(eventid, eventtime) OVER () AS last\nFROM cloudtrail_logs WHERE year = '2024' AND month = '03' ORDER BY n",
        "e2|1|ConsoleLogin|e2\ne1|2|null|e2",
    ),
    (
        "SELECT map_agg(eventid, eventname)['e1'], cardinality(histogram(year)), array_join(array_agg(eventid ORDER BY eventid), ','), approx_distinct(eventname), bool_or(errorcode IS NOT NULL), every(year = '2024')\nFROM cloudtrail_logs",
        "ConsoleLogin|1|e1,e2|2|true|true",
    ),
    ("SELECT listagg(eventid, ';') WITHIN GROUP (ORDER BY eventid DESC) FROM cloudtrail_logs", "e2;e1"),
    (
        "SELECT approx_percentile(length(eventname), 0.5) > 0, count(DISTINCT useridentity.accountid) FROM cloudtrail_logs",
        "true|1",
    ),
    (
        "SELECT event_date, user_name, json_extract_scalar(response_elements, '$.ConsoleLogin') AS result\nFROM iam_events\nWHERE event_name = 'ConsoleLogin' AND from_iso8601_timestamp(event_time) >= current_timestamp - interval '30' day\n  AND event_date >= date_format(current_date - interval '30' day, '%Y-%m-%d')",
        "2024-03-14|alice|Failure",
    ),
    (
        "SELECT hour(from_iso8601_timestamp(event_time) AT TIME ZONE 'Europe/Berlin') AS hour, COUNT(*), COUNT(*) FROM iam_events GROUP BY 1",
        "11|1|1",
    ),
    // CloudTrail Lake, documentation and sample queries.
    (
        "SELECT\n    eventSource, COUNT(*) AS apiCount\nFROM\n    a1b2c3d4-5678-90ab-cdef-EXAMPLE11111\nWHERE\n    eventTime > date_add('week', -1, now())\nGROUP BY eventSource ORDER BY apiCount DESC, eventSource",
        "s3.amazonaws.com|1\nsignin.amazonaws.com|1",
    ),
    (
        "SELECT eventID, eventTime, userIdentity.arn AS user\nFROM $EDS_ID\nWHERE userIdentity.type = 'Root' AND eventTime > '2023-01-01 00:00:00' AND eventTime < '2023-02-01 00:00:00'",
        "e3|2023-01-05T08:00:00Z|arn:aws:iam::111111111111:root",
    ),
    (
        "SELECT\n    eventTime, awsRegion, userIdentity.arn, element_at(additionalEventData, 'MFAUsed') AS mfa, responseElements['ConsoleLogin'] AS result\nFROM <event-data-store-id>\nWHERE eventSource = 'signin.amazonaws.com' AND eventName = 'ConsoleLogin'\n    AND element_at(additionalEventData, 'MFAUsed') = 'No'",
        "2024-03-14T10:00:00Z|us-east-1|arn:aws:iam::111111111111:user/alice|No|Success",
    ),
    (
        "SELECT eds1.eventID, eds2.eventName\nFROM a1b2c3d4-5678-90ab-cdef-EXAMPLE11111 AS eds1\nLEFT OUTER JOIN b2c3d4e5-6789-01ab-cdef-EXAMPLE22222 AS eds2\nON eds1.eventID = eds2.eventID\nWHERE eds1.eventID LIKE '%1%'\nORDER BY eds1.eventID DESC, eds2.eventID",
        "e1|ConsoleLogin",
    ),
    (
        "SELECT eventName, element_at(requestParameters, 'bucketName') AS bucket, element_at(requestParameters, 'key') AS key\nFROM event_data_store_ID\nWHERE eventSource = 's3.amazonaws.com' AND eventName IN ('DeleteObject', 'DeleteObjects') AND errorCode IS NOT NULL AND readOnly = false AND managementEvent = false",
        "DeleteObject|secrets|a/b.txt",
    ),
    (
        "SELECT userIdentity.sessionContext.sessionIssuer.userName, userIdentity.sessioncontext.attributes.mfaauthenticated, tlsDetails.tlsVersion\nFROM \"arn:aws:cloudtrail:us-east-1:111111111111:eventdatastore/a1b2c3d4-5678-90ab-cdef-EXAMPLE11111\"\nWHERE userIdentity.sessionContext.attributes.mfaAuthenticated = 'false'",
        "Admin|false|TLSv1.2",
    ),
    (
        "SELECT eventID, r.arn FROM $EDS_ID CROSS JOIN UNNEST(resources) AS t(r) WHERE any_match(resources, x -> x.type = 'AWS::S3::Bucket') ORDER BY r.arn LIMIT 1",
        "e2|arn:aws:s3:::secrets",
    ),
    (
        "SELECT eventID, k, v FROM $EDS_ID CROSS JOIN UNNEST(requestParameters) AS t(k, v) WHERE k = 'userName'",
        "e3|userName|alice",
    ),
    (
        "SELECT json_extract_scalar(element_at(responseElements, 'accessKey'), '$.accessKeyId') FROM $EDS_ID WHERE eventName = 'CreateAccessKey'",
        "AKIA2",
    ),
    (
        "SELECT eventName, eventTime FROM $EDS_ID WHERE eventTime BETWEEN TIMESTAMP '2024-03-14 00:00:00' AND TIMESTAMP '2024-03-14 10:30:00' AND NOT regexp_like(userAgent, '(?i)aws-cli')",
        "ConsoleLogin|2024-03-14T10:00:00Z",
    ),
    (
        "SELECT date_trunc('day', eventTime) AS day, COUNT(*) AS n FROM $EDS_ID GROUP BY date_trunc('day', eventTime) ORDER BY day DESC",
        "2024-03-14T00:00:00Z|2\n2023-01-05T00:00:00Z|1",
    ),
    (
        "SELECT date_format(eventTime, '%Y-%m') AS month, year(eventTime) y, COUNT(DISTINCT userIdentity.principalId) FROM $EDS_ID GROUP BY date_format(eventTime, '%Y-%m'), year(eventTime) ORDER BY 1",
        "2023-01|2023|1\n2024-03|2024|2",
    ),
    (
        "SELECT eventID FROM $EDS_ID WHERE cast(eventTime AS date) = DATE '2023-01-05' UNION SELECT eventid FROM cloudtrail_logs WHERE eventid = 'e2' ORDER BY 1",
        "e2\ne3",
    ),
    (
        "SELECT eventname FROM $EDS_ID e WHERE NOT EXISTS (SELECT 1 FROM cloudtrail_logs l WHERE l.eventid = e.eventid)",
        "CreateAccessKey",
    ),
    (
        "SELECT \"Event Name\", \"n\" FROM (SELECT eventname AS \"Event Name\", count(*) AS n FROM cloudtrail GROUP BY eventname) ORDER BY \"Event Name\" LIMIT 1",
        "ConsoleLogin|1",
    ),
    (
        "SELECT default.cloudtrail_logs.eventid FROM default.cloudtrail_logs WHERE default.cloudtrail_logs.useridentity.type = 'IAMUser'",
        "e1",
    ),
    (
        "SELECT eventid FROM cloudtrail_logs WHERE timestamp >= '2024/03/01' AND \"timestamp\" < '2024/04/01' AND eventname LIKE 'Put%'",
        "e2",
    ),
    (
        "SELECT count(*) FILTER (WHERE errorcode IS NOT NULL), count_if(errorcode IS NULL) FILTER (WHERE awsregion = 'us-east-1'), max_by(eventid, eventtime) FILTER (WHERE errorcode IS NULL) FROM cloudtrail",
        "1|2|e1",
    ),
    (
        "SELECT awsregion, count(*) FROM cloudtrail_logs GROUP BY GROUPING SETS ((awsregion), ()) ORDER BY awsregion",
        "eu-west-1|1\nus-east-1|1\nnull|2",
    ),
    (
        "SELECT awsregion, count(*) FROM cloudtrail_logs GROUP BY ROLLUP (awsregion) ORDER BY 2, 1",
        "eu-west-1|1\nus-east-1|1\nnull|2",
    ),
    ("SELECT eventid FROM cloudtrail EXCEPT SELECT eventid FROM cloudtrail_logs", "e3"),
    (
        "SELECT eventid FROM cloudtrail WHERE eventid IN (SELECT eventid FROM cloudtrail_logs WHERE year = '2024') AND sourceipaddress NOT IN ('203.0.113.5')",
        "e2",
    ),
    (
        "SELECT l.eventid, i.user_name, r.type FROM cloudtrail_logs l LEFT JOIN iam_events i ON l.eventid = i.event_id CROSS JOIN UNNEST(l.resources) AS t(r) JOIN cloudtrail c ON c.eventid = l.eventid ORDER BY r.type",
        "e2|null|AWS::S3::Bucket\ne2|null|AWS::S3::Object",
    ),
    (
        "SELECT a, b FROM cloudtrail_logs CROSS JOIN UNNEST(ARRAY[1, 2]) AS s(a) CROSS JOIN UNNEST(split(awsregion, '-')) AS t(b) WHERE eventid = 'e1' AND a = 2",
        "2|us\n2|east\n2|1",
    ),
    (
        "SELECT eventname, n, rank() OVER (ORDER BY n DESC, eventname) AS place FROM (SELECT eventname, count(*) AS n FROM cloudtrail GROUP BY eventname) ORDER BY place",
        "ConsoleLogin|1|1\nCreateAccessKey|1|2\nDeleteObject|1|3",
    ),
    (
        "SELECT sum(n) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1, 10), (2, 20), (3, 30)) AS t(x, n) ORDER BY x",
        "10\n30\n50",
    ),
    (
        "SELECT try(CAST(json_extract_scalar(requestparameters, '$.bucketName') AS bigint)), coalesce(try(date_parse(eventtime, '%Y')), TIMESTAMP '2020-01-01 00:00:00') FROM cloudtrail_logs WHERE eventid = 'e2'",
        "null|2020-01-01T00:00:00",
    ),
    (
        "SELECT eventid FROM cloudtrail WHERE \"useridentity\".\"arn\" LIKE '%assumed$-role%' ESCAPE '$' AND eventname LIKE 'Delete%'",
        "e2",
    ),
    (
        "SELECT DISTINCT useridentity.accountid FROM cloudtrail WHERE date_diff('day', eventtime, now()) < 30",
        "111111111111",
    ),
    (
        "SELECT format_datetime(current_timestamp - interval '7' day, 'yyyy-MM-dd''T''HH:mm:ss''Z''') < max(eventtime) FROM cloudtrail_logs",
        "true",
    ),
    (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t ORDER BY n",
        "1\n2\n3",
    ),
    ("SELECT x, y FROM UNNEST(ARRAY['a', 'b'], ARRAY[1]) AS t(x, y)", "a|1\nb|null"),
    ("SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(n, s) ORDER BY s DESC", "1|a\n2|null"),
    (
        "SELECT count(*) FROM cloudtrail WHERE userIdentity.type IN ('Root', 'IAMUser') AND eventTime > timestamp '2024-01-01 00:00:00 UTC'",
        "1",
    ),
];

#[tokio::test]
async fn queries_run_as_they_are_written() {
    let context = tables().await;
    assert!(QUERIES.len() >= 20);
    let mut wrong = Vec::new();
    for (sql, expected) in QUERIES {
        let found = rows(&context, sql).await;
        let found = found.map(|rows| rows.iter().map(|row| row.join("|")).collect::<Vec<_>>().join("\n"));
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("{sql}\n    gives {found:?}\n    not   {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_describes_runs() {
    let context = tables().await;
    for sql in [
        "SHOW TABLES",
        "SHOW TABLES IN default",
        "SHOW COLUMNS IN cloudtrail_logs",
        "SHOW COLUMNS FROM default.cloudtrail_logs",
        "DESCRIBE cloudtrail_logs",
        "DESC default.cloudtrail_logs",
        "EXPLAIN SELECT count_if(eventname = 'x') FROM cloudtrail_logs",
        "EXPLAIN ANALYZE SELECT * FROM $EDS_ID",
        "SELECT table_name FROM information_schema.tables",
    ] {
        assert!(!rows(&context, sql).await.expect(sql).is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn a_column_is_called_as_its_expression_was_written() {
    let context = tables().await;
    let sql = "SELECT COUNT_IF(eventname = 'x'), substr(eventid, 1), eventname, count(*), count(*), requestparameters['a'] FROM cloudtrail GROUP BY eventid, eventname, requestparameters['a']";
    let prepared = crate::dialect::prepare(sql, crate::functions::tests::now()).expect("a query");
    let plan = context.state().statement_to_plan(prepared.into_statement()).await.expect("a plan");
    let names: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let expected = [
        "COUNT_IF(eventname = 'x')",
        "SUBSTR(eventid, 1)",
        "eventname",
        "count(*)",
        "count(*) (2)",
        "requestparameters['a']",
    ];
    assert_eq!(names, expected);
}

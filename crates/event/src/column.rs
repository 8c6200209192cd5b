//! The columns of an event: what each is called, which field of the record it holds, and whether it renders it back.
//!
//! This table is the one place where text columns are listed. The lake builds its schema from it, the renderer walks
//! it, and [`Event`](crate::Event) keeps its texts in an array that it indexes.

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A string field of the record; the column renders it back exactly.
    Text(&'static str),
    /// A field of any JSON type, kept as compact JSON text; the column renders it back exactly.
    Json(&'static str),
    /// The record's own remaining fields as one JSON object.
    Rest,
    /// Worked out from other fields; never rendered.
    Derived,
}

macro_rules! columns {
    ($( $(#[doc = $doc:literal])+ $variant:ident $name:ident $origin:expr; )*) => {
        /// A column of text, in the order of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Column { $( $(#[doc = $doc])+ $variant, )* }

        impl Column {
            /// Every text column, in table order.
            pub const ALL: &'static [Column] = &[$( Column::$variant, )*];
            /// How many text columns there are.
            pub const COUNT: usize = Column::ALL.len();

            /// The column's name in the `events` table.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Column::$variant => stringify!($name), )* }
            }

            /// Where the column's value comes from.
            #[must_use]
            pub const fn origin(self) -> Origin {
                match self { $( Column::$variant => $origin, )* }
            }

            /// What the column holds, for the generated reference.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $( Column::$variant => concat!($($doc),+), )* }
            }
        }

        impl crate::Event<'_> {
            $( $(#[doc = $doc])+
            #[must_use]
            pub fn $name(&self) -> Option<&str> { self.get(Column::$variant) } )*
        }
    };
}

columns! {
    /// The event's identity. Derived from the content where the record has none (`id_derived`).
    EventId event_id Origin::Text("eventID");
    /// The API action, such as `CreateAccessKey`.
    EventName event_name Origin::Text("eventName");
    /// The service that was called, such as `iam.amazonaws.com`.
    EventSource event_source Origin::Text("eventSource");
    /// `iam`, `sts`, `signin`, `sso` (all of Identity Center) or the service's own prefix.
    EventType event_type Origin::Derived;
    /// `Management`, `Data`, `NetworkActivity`, `Aggregated`.
    EventCategory event_category Origin::Text("eventCategory");
    /// The account the event was recorded for: `recipientAccountId`, else the caller's.
    AccountId account_id Origin::Text("recipientAccountId");
    /// The region the event was recorded in.
    AwsRegion aws_region Origin::Text("awsRegion");
    /// Who acted: `root`, an IAM user's name, a session's role, an Identity Center user, else the best name there is.
    UserName user_name Origin::Derived;
    /// `userIdentity.type`.
    ActorType actor_type Origin::Derived;
    /// `userIdentity.arn`.
    ActorArn actor_arn Origin::Derived;
    /// The account of the caller.
    ActorAccountId actor_account_id Origin::Derived;
    /// `userIdentity.principalId`.
    PrincipalId principal_id Origin::Derived;
    /// The role behind a session: `sessionContext.sessionIssuer.arn`.
    RoleArn role_arn Origin::Derived;
    /// The session's name: the person behind a role.
    SessionName session_name Origin::Derived;
    /// `sessionContext.sourceIdentity`.
    SourceIdentity source_identity Origin::Derived;
    /// `userIdentity.accessKeyId`.
    AccessKeyId access_key_id Origin::Derived;
    /// The AWS service that made the call for the caller.
    InvokedBy invoked_by Origin::Derived;
    /// `sourceIPAddress`: an address, or an AWS service's name.
    SourceIp source_ip Origin::Text("sourceIPAddress");
    /// The caller's program, as it calls itself.
    UserAgent user_agent Origin::Text("userAgent");
    /// Set where the call failed, such as `AccessDenied`.
    ErrorCode error_code Origin::Text("errorCode");
    /// What the service said of the failure.
    ErrorMessage error_message Origin::Text("errorMessage");
    /// What was acted upon: the role of an AssumeRole, the user of a CreateAccessKey, a bucket, a key.
    Target target Origin::Derived;
    /// `userIdentity`, whole, as JSON.
    UserIdentity user_identity Origin::Json("userIdentity");
    /// `resources` as JSON.
    Resources resources Origin::Json("resources");
    /// `requestParameters` as JSON.
    RequestParameters request_parameters Origin::Json("requestParameters");
    /// `responseElements` as JSON.
    ResponseElements response_elements Origin::Json("responseElements");
    /// `additionalEventData` as JSON.
    AdditionalEventData additional_event_data Origin::Json("additionalEventData");
    /// The service's id of the request.
    RequestId request_id Origin::Text("requestID");
    /// Ties the copies of one call in several accounts together.
    SharedEventId shared_event_id Origin::Text("sharedEventID");
    /// The VPC endpoint the call came through.
    VpcEndpointId vpc_endpoint_id Origin::Text("vpcEndpointId");
    /// The version of the record's format.
    EventVersion event_version Origin::Text("eventVersion");
    /// The record's `eventType`: `AwsApiCall`, `AwsConsoleSignIn`, `AwsServiceEvent` …
    AwsEventType aws_event_type Origin::Text("eventType");
    /// Every field of the record that no column renders back, as one JSON object.
    Rest rest Origin::Rest;
}

impl Column {
    /// The column that holds a field of the record, by the field's name in CloudTrail's spelling.
    #[must_use]
    pub fn of_field(field: &str) -> Option<Column> {
        // A match on the few names is what the compiler turns into length and word compares.
        Some(match field {
            "eventID" => Column::EventId,
            "eventName" => Column::EventName,
            "eventSource" => Column::EventSource,
            "eventCategory" => Column::EventCategory,
            "recipientAccountId" => Column::AccountId,
            "awsRegion" => Column::AwsRegion,
            "sourceIPAddress" => Column::SourceIp,
            "userAgent" => Column::UserAgent,
            "errorCode" => Column::ErrorCode,
            "errorMessage" => Column::ErrorMessage,
            "userIdentity" => Column::UserIdentity,
            "resources" => Column::Resources,
            "requestParameters" => Column::RequestParameters,
            "responseElements" => Column::ResponseElements,
            "additionalEventData" => Column::AdditionalEventData,
            "requestID" => Column::RequestId,
            "sharedEventID" => Column::SharedEventId,
            "vpcEndpointId" => Column::VpcEndpointId,
            "eventVersion" => Column::EventVersion,
            "eventType" => Column::AwsEventType,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rendered_column_is_found_by_its_field() {
        for &column in Column::ALL {
            match column.origin() {
                Origin::Text(field) | Origin::Json(field) => assert_eq!(Column::of_field(field), Some(column)),
                Origin::Rest | Origin::Derived => {}
            }
        }
    }

    #[test]
    fn the_index_of_a_column_is_its_place_in_the_table() {
        for (place, &column) in Column::ALL.iter().enumerate() {
            assert_eq!(column as usize, place);
        }
    }
}

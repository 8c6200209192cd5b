//! Invitations to Amazon Detective, against answers as its documentation has them: no emulator plays it.

use serde_json::{Value, json};
use testkit::http::script::{Asked, Script};

use crate::live::Live;
use crate::support::Ran;

const GRAPH: &str = "arn:aws:detective:us-east-1:444455556666:graph:0123abcd";
const OTHER: &str = "arn:aws:detective:us-east-1:777788889999:graph:4567cdef";

fn invitation(graph: &str, status: &str) -> Value {
    let administrator = graph.split(':').nth(4).unwrap();
    json!({
        "AccountId": "111122223333", "AdministratorId": administrator, "MasterId": administrator, "GraphArn": graph,
        "EmailAddress": "root@example.com", "InvitedTime": 1767225600.5, "Status": status,
    })
}

/// Says of each page what it is given, and accepts.
fn service(pages: &[Vec<Value>]) -> Script {
    let pages = pages.to_vec();
    Script::open(move |asked: &Asked| {
        if asked.call == "PUT /invitation" {
            return (200, String::new());
        }
        let request: Value = serde_json::from_str(&asked.body).unwrap();
        let page = request["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let next = (page + 1 < pages.len()).then(|| (page + 1).to_string());
        (200, json!({ "Invitations": pages[page], "NextToken": next }).to_string())
    })
}

fn accept(script: &Script, more: &[&str]) -> Ran {
    let live = Live::new(|_| ());
    let mut command = live.command();
    command.env("AWS_ENDPOINT_URL_DETECTIVE", &script.endpoint).env("AWS_REGION", "us-east-1");
    Ran(command.args(["aws", "accept-detective"]).args(more).output().unwrap())
}

fn calls(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|asked| format!("{} {}", asked.call, asked.body)).collect()
}

#[test]
fn the_only_invitation_is_accepted_and_nothing_without_a_yes() {
    let script = service(&[vec![invitation(OTHER, "ENABLED")], vec![invitation(GRAPH, "INVITED")]]);
    let asked = accept(&script, &[]).code(2);
    assert!(
        asked.stderr().contains(&format!(
            "Let account 444455556666 see the activity of account 111122223333 in its graph {GRAPH}?"
        ))
    );
    assert!(!calls(&script).iter().any(|call| call.starts_with("PUT")));
    let accepted = accept(&script, &["--yes"]).code(0);
    assert_eq!(accepted.stdout(), format!("account 111122223333 is a member of {GRAPH}\n"));
    let (list, put) = ("POST /invitations/list", format!("PUT /invitation {{\"GraphArn\":\"{GRAPH}\"}}"));
    let pages = [format!("{list} {{}}"), format!("{list} {{\"NextToken\":\"1\"}}")];
    assert_eq!(calls(&script), [&pages[0], &pages[1], &pages[0], &pages[1], &put].map(Clone::clone));
}

#[test]
fn which_of_several_has_to_be_said() {
    let script = service(&[vec![invitation(OTHER, "INVITED"), invitation(GRAPH, "INVITED")]]);
    let asked = accept(&script, &["--yes"]).code(2);
    assert!(asked.stderr().contains(&format!("say which with --graph: {OTHER}, {GRAPH}")), "{}", asked.stderr());
    accept(&script, &["--yes", "--graph", GRAPH]).code(0);
    let puts: Vec<String> = calls(&script).into_iter().filter(|call| call.starts_with("PUT")).collect();
    assert_eq!(puts, [format!("PUT /invitation {{\"GraphArn\":\"{GRAPH}\"}}")]);
}

#[test]
fn what_cannot_be_accepted_says_why() {
    let none = accept(&service(&[vec![]]), &["--yes"]).code(2);
    assert!(none.stderr().contains("account 111122223333 has no invitation in us-east-1"), "{}", none.stderr());
    let already = accept(&service(&[vec![invitation(GRAPH, "ENABLED")]]), &["--yes"]).code(0);
    assert_eq!(already.stdout(), "account 111122223333 is a member already\n");
    let failed = accept(&service(&[vec![invitation(GRAPH, "VERIFICATION_FAILED")]]), &["--yes"]).code(4);
    assert!(failed.stdout().contains("is not that of the account's root user"), "{}", failed.stdout());
    let denied = Script::open(|_| (403, json!({ "Message": "no", "__type": "AccessDeniedException" }).to_string()));
    let denied = accept(&denied, &["--yes"]);
    assert!(denied.code(1).stderr().contains("detective:ListInvitations"));
}

//! `siskin policy`: what a peer's import and export do.

use siskin_api::{
    PolicyDirection, PolicyMrtReport, PolicyMrtRequest, PolicyOutcome, PolicySide, PolicyTestRequest,
    PolicyTestResult, PolicyView, Rejection,
};

use super::explain::import::{Judgement, lines};
use super::{peer_name, routes, show};
use crate::args::{OriginWord, PolicyAction, PolicyTestArguments};
use crate::client::{Client, escape, understand};
use crate::failure::Failure;
use crate::output::{Look, Output, Tone};
use crate::table::{Cell, Table};
use crate::words::{count, number, role};

/// Runs `siskin policy …`.
pub(super) async fn run(client: &Client, output: &Output, action: PolicyAction) -> Result<(), Failure> {
    match action {
        PolicyAction::Show { peer } => {
            let peer = peer_name(client, &peer).await?;
            show(client, output, &format!("/v1/policy/{}", escape(&peer)), render).await
        }
        PolicyAction::Test(arguments) => test(client, output, *arguments).await,
    }
}

async fn test(client: &Client, output: &Output, arguments: PolicyTestArguments) -> Result<(), Failure> {
    let peer = peer_name(client, &arguments.peer).await?;
    let path = format!("/v1/policy/{}/test", escape(&peer));
    let accepted = match (&arguments.mrt, arguments.prefix) {
        (Some(file), _) => {
            let body = super::body(&PolicyMrtRequest { file: super::absolute(file)? })?;
            let answer = client.post_long(&format!("{path}-mrt"), body).await?;
            let report: PolicyMrtReport = understand(&answer)?;
            tell(output, &answer, || render_mrt(&report, output.look()))?;
            report.rejected == 0
        }
        (None, Some(prefix)) => {
            let from = match arguments.from {
                Some(given) => Some(peer_name(client, &given).await?),
                None => None,
            };
            let request = PolicyTestRequest {
                direction: if arguments.export { PolicyDirection::Export } else { PolicyDirection::Import },
                prefix,
                as_path: arguments.as_path,
                communities: arguments.community,
                next_hop: arguments.next_hop,
                origin: arguments.origin.map(|o: OriginWord| o.name().to_owned()),
                med: arguments.med,
                local_pref: arguments.local_pref,
                otc: arguments.otc,
                from,
            };
            let answer = client.post(&path, super::body(&request)?).await?;
            let result: PolicyTestResult = understand(&answer)?;
            tell(output, &answer, || render_test(&result, output.look()))?;
            result.outcome == PolicyOutcome::Accepted
        }
        (None, None) => return Err(Failure::Usage("a prefix or --mrt FILE is needed".to_owned())),
    };
    if accepted { Ok(()) } else { Err(Failure::Negative(None)) }
}

fn tell(output: &Output, answer: &[u8], text: impl FnOnce() -> String) -> Result<(), Failure> {
    if output.is_json() { output.answer(answer) } else { output.text(&text()) }
}

/// Both directions: checks, then rules.
pub(super) fn render(view: &PolicyView, look: Look) -> String {
    let who = view.role.map(|r| format!(", our {}", role(r))).unwrap_or_default();
    let mut text = format!("{}{who}\n", look.paint(Tone::Bold, &view.peer));
    for (title, side) in [("Import", &view.import), ("Export", &view.export)] {
        text += &format!("\n{}\n{}", look.paint(Tone::Bold, title), render_side(side, look));
    }
    text
}

fn render_side(side: &PolicySide, look: Look) -> String {
    let mut table = Table::new(["", "", "", ""]).indented(2);
    for check in &side.checks {
        let note = check.note.as_deref().unwrap_or_default();
        if check.on {
            let name = Cell::from(check.name.as_str());
            table.row([name, "".into(), check.rule.as_str().into(), Cell::toned(Tone::Dim, note)]);
        } else {
            let dim = |text: &str| Cell::toned(Tone::Dim, text);
            table.row([dim(&check.name), dim("off"), dim(&check.rule), dim(note)]);
        }
    }
    match &side.policy {
        None => table.row([
            "policy".into(),
            "".into(),
            Cell::toned(Tone::Warn, "none: nothing passes (RFC 8212)"),
        ]),
        Some(policy) if side.rules.is_empty() => table.row([policy.as_str().into()]),
        Some(_) => {}
    }
    for rule in &side.rules {
        let location = rule.location.as_deref().unwrap_or_default();
        let (word, note) = match &rule.dead {
            Some(why) => {
                let at = if location.is_empty() { String::new() } else { format!("{location}: ") };
                ("dead", Cell::toned(Tone::Warn, format!("{at}never reached: {why}")))
            }
            None => ("", Cell::toned(Tone::Dim, location)),
        };
        table.row([
            rule.rule.as_str().into(),
            Cell::toned(Tone::Warn, word),
            rule.text.as_str().into(),
            note,
        ]);
    }
    table.take(look)
}

/// The verdict, how it came about, and the attributes afterwards.
pub(super) fn render_test(result: &PolicyTestResult, look: Look) -> String {
    let way = match result.direction {
        PolicyDirection::Import => "from",
        PolicyDirection::Export => "to",
    };
    let (tone, word) = match result.outcome {
        PolicyOutcome::Accepted => (Tone::Good, "accepted"),
        PolicyOutcome::Rejected => (Tone::Bad, "rejected"),
    };
    let colon = if result.text.is_empty() { "" } else { ": " };
    let mut text = crate::words::clean(&format!("{} {way} {} is ", result.prefix, result.peer));
    text += &look.paint(tone, word);
    text += &crate::words::clean(&format!(" by {}{colon}{}\n\n", result.rule, result.text));
    let rejected = (result.outcome == PolicyOutcome::Rejected)
        .then(|| Rejection { rule: result.rule.clone(), text: result.text.clone() });
    let judgement = Judgement {
        checks: &result.checks,
        policy: result.policy.as_ref(),
        rejected: rejected.as_ref(),
        changes: &result.changes,
    };
    let mut steps = Table::new(["", "", "", ""]).indented(2);
    for line in lines(judgement) {
        steps.row(line);
    }
    text += &steps.take(look);
    if result.outcome == PolicyOutcome::Accepted {
        text.push('\n');
        let mut table = Table::new(["", ""]).indented(2);
        for (name, value) in routes::attribute_list(&result.attributes) {
            table.row([Cell::toned(Tone::Dim, name), value.into()]);
        }
        text += &table.take(look);
    }
    text
}

/// How many routes each rule decided.
pub(super) fn render_mrt(report: &PolicyMrtReport, look: Look) -> String {
    let mut table = Table::new(["", "ROUTES", "SHARE", "RULE", "EXAMPLE", ""]);
    for rule in &report.by_rule {
        let (tone, word) = match rule.outcome {
            PolicyOutcome::Accepted => (Tone::Good, "accepts"),
            PolicyOutcome::Rejected => (Tone::Bad, "rejects"),
        };
        table.row([
            Cell::toned(tone, word),
            Cell::number(number(rule.count)),
            Cell::number(percent(rule.count, report.routes)),
            rule.rule.as_str().into(),
            rule.example.to_string().into(),
            Cell::toned(Tone::Dim, rule.text.as_str()),
        ]);
    }
    let unreadable = match report.unreadable {
        0 => String::new(),
        n => format!("; {} could not be read", count(n, "record")),
    };
    format!(
        "{}\n{} from {}: {} accepted, {} rejected{unreadable}. {} ms.\n",
        table.take(look),
        count(report.routes, "route"),
        report.file,
        number(report.accepted),
        number(report.rejected),
        number(report.took_ms)
    )
}

/// `0.89 %`, of a whole that may be nothing.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

//! From a set's name to its prefixes and AS numbers: the server's own resolution where it has one, ours from AS numbers
//! where not.

use std::sync::Arc;

use bytes::Bytes;
use siskin_net::{Asn, Family, Prefix};

use super::connection::Connection;
use super::descend::{Members, descend};
use super::reply::Reply;
use super::{Answer, Ask, FetchError, MAX_REPLY, Query};
use crate::Part;
use crate::name::Kind;
use crate::parse::{self, ParseListError, parse_prefixes};

/// How many queries are sent ahead of their replies: few enough that both directions' socket buffers can hold them, so that
/// neither side waits for the other to read.
pub(super) const AHEAD: usize = 64;
/// How many AS numbers we resolve ourselves. There are fewer than this in the whole routing system.
const MAX_MEMBERS: usize = 200_000;

type Answers = Vec<(Part, Result<Answer, FetchError>)>;

/// The answers of one AS number: what it originates, and itself.
pub(super) async fn answer_of_asns(connection: &mut Connection, asn: Asn, ask: Ask) -> Answers {
    let mut answers = Vec::new();
    for part in ask.parts() {
        let answer = match part {
            // No routes at all also reads `D`; an AS number exists whether or not it has any.
            Part::Prefixes(family) => by_origin(connection, &[asn], family, Vec::new()).await,
            Part::Members => Ok(Answer::Members(Arc::new([asn]))),
        };
        answers.push((part, answer));
    }
    answers
}

/// The answers of a set.
pub(super) async fn answer_of_set(
    connection: &mut Connection,
    query: &Query,
    kind: Kind,
    ask: Ask,
) -> Result<Answers, FetchError> {
    let found = match &query.source {
        Some(source) => descend(connection, query, source).await?,
        None => {
            connection.choose(&query.sources).await?;
            if kind == Kind::AsSet && connection.has_a {
                return Ok(resolved_there(connection, &query.name, ask).await);
            }
            match members(connection, &query.name).await? {
                Some(data) => Some(blocking(move || Members::read(&data)).await?),
                None => None,
            }
        }
    };
    let Some(found) = found else {
        return Ok(ask.parts().map(|part| (part, Ok(Answer::NotFound))).collect());
    };
    let asns = found.asns();
    if asns.len() > MAX_MEMBERS {
        return Err(FetchError::TooLarge(MAX_REPLY));
    }
    let mut answers = Vec::new();
    for part in ask.parts() {
        let answer = match part {
            Part::Members => Ok(Answer::Members(Arc::from(asns.as_slice()))),
            Part::Prefixes(family) => by_origin(connection, &asns, family, found.prefixes(family)).await,
        };
        answers.push((part, answer));
    }
    Ok(answers)
}

/// The server resolves: all questions at once, the answers in their order.
async fn resolved_there(connection: &mut Connection, name: &str, ask: Ask) -> Answers {
    let mut answers: Answers = Vec::new();
    for part in ask.parts() {
        let answer = match part {
            Part::Prefixes(family) => whole_set(connection, name, family).await,
            Part::Members => match members(connection, name).await {
                Ok(Some(data)) => {
                    let read = blocking(move || Members::read(&data)).await;
                    read.map(|members| Answer::Members(members.asns().into()))
                }
                Ok(None) => Ok(Answer::NotFound),
                Err(error) => Err(error),
            },
        };
        answers.push((part, answer));
    }
    know_empty(connection, name, &mut answers).await;
    answers
}

/// `D` is also said of a set without prefixes of one family. If anything of the set is known, it exists, and is empty there.
async fn know_empty(connection: &mut Connection, name: &str, answers: &mut Answers) {
    if !answers.iter().any(|(_, answer)| matches!(answer, Ok(Answer::NotFound))) {
        return;
    }
    let filled = answers.iter().any(|(_, a)| matches!(a, Ok(Answer::Prefixes(_) | Answer::Members(_))));
    let asked = answers.iter().any(|(part, _)| *part == Part::Members);
    if !filled && (asked || !matches!(members(connection, name).await, Ok(Some(_)))) {
        return;
    }
    for (part, answer) in answers.iter_mut().filter(|(_, a)| matches!(a, Ok(Answer::NotFound))) {
        *answer = Ok(match part {
            Part::Prefixes(_) => Answer::Prefixes(Arc::new([])),
            Part::Members => Answer::Members(Arc::new([])),
        });
    }
}

/// `!a4` or `!a6`.
async fn whole_set(connection: &mut Connection, name: &str, family: Family) -> Result<Answer, FetchError> {
    let query = format!("!a{}{name}\n", digit(family));
    connection.send(&query).await?;
    match connection.receive().await? {
        Reply::Data(data) => {
            let list = blocking(move || Ok(Arc::from(parse_prefixes(&data, family)?))).await?;
            Ok(Answer::Prefixes(list))
        }
        // `C` is success without data: the set is there and leads to nothing.
        Reply::Done => Ok(Answer::Prefixes(Arc::new([]))),
        Reply::NotFound => Ok(Answer::NotFound),
        Reply::Failed(text) => Err(FetchError::Failed(text)),
        Reply::Several => Err(FetchError::Unexpected(query.trim_end().to_owned())),
    }
}

/// `!i…,1`; `None` for `D`.
async fn members(connection: &mut Connection, name: &str) -> Result<Option<Bytes>, FetchError> {
    let query = format!("!i{name},1\n");
    connection.send(&query).await?;
    match connection.receive().await? {
        Reply::Data(data) => Ok(Some(data)),
        Reply::Done => Ok(Some(Bytes::new())),
        Reply::NotFound => Ok(None),
        Reply::Failed(text) => Err(FetchError::Failed(text)),
        Reply::Several => Err(FetchError::Unexpected(query.trim_end().to_owned())),
    }
}

/// `!g` or `!6` for each AS number, added to `list`. One failure fails all: a list with holes is no list.
async fn by_origin(
    connection: &mut Connection,
    asns: &[Asn],
    family: Family,
    mut list: Vec<Prefix>,
) -> Result<Answer, FetchError> {
    let verb = match family {
        Family::Ipv4 => 'g',
        Family::Ipv6 => '6',
    };
    let mut octets = 0usize;
    let mut failure = None;
    for some in asns.chunks(AHEAD) {
        let queries: String = some.iter().map(|asn| format!("!{verb}AS{asn}\n")).collect();
        connection.send(&queries).await?;
        let mut texts = Vec::new();
        for asn in some {
            // Every reply is read, even after a failure: the next part's replies come behind them.
            match connection.receive().await? {
                Reply::Data(data) => texts.push(data),
                Reply::NotFound | Reply::Done => {}
                Reply::Failed(text) => failure = Some(FetchError::Failed(format!("AS{asn}: {text}"))),
                Reply::Several => failure = Some(FetchError::Unexpected(format!("!{verb}AS{asn}"))),
            }
        }
        octets = octets.saturating_add(texts.iter().map(Bytes::len).sum());
        if octets > MAX_REPLY {
            failure = Some(FetchError::TooLarge(MAX_REPLY));
        }
        if let Some(error) = failure {
            return Err(error);
        }
        list = blocking(move || {
            for text in texts {
                list.append(&mut parse_prefixes(&text, family)?);
            }
            Ok(list)
        })
        .await?;
    }
    let list = blocking(move || {
        parse::sort(&mut list);
        Ok(Arc::from(list))
    });
    Ok(Answer::Prefixes(list.await?))
}

/// Runs `work` where it holds nobody up: a large list takes a second.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ParseListError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(FetchError::from),
        Err(error) => Err(FetchError::Io(error.to_string())),
    }
}

fn digit(family: Family) -> char {
    match family {
        Family::Ipv4 => '4',
        Family::Ipv6 => '6',
    }
}

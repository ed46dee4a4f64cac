//! GetLogEvents: one stream, in either direction, by tokens that name a place.

use api_logs::{Error, GetLogEventsRequest, GetLogEventsResponse};
use log_store::{Direction, PageEvent, Position, Query, Streams};
use shape::Caller;

use crate::limits::EVENTS_PAGE;
use crate::refusals::{invalid, invalid_token};
use crate::service::LogsService;
use crate::{names, ops, views};

/// `f/<position>/s` continues behind a position, `b/<position>/s` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Behind(Position),
    Before(Position),
}

impl Token {
    fn parse(text: &str) -> Option<Token> {
        let (kind, place) = text.strip_suffix("/s")?.split_once('/')?;
        let place = place.parse().ok()?;
        match kind {
            "f" => Some(Token::Behind(place)),
            "b" => Some(Token::Before(place)),
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Token::Behind(place) => format!("f/{place}/s"),
            Token::Before(place) => format!("b/{place}/s"),
        }
    }
}

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, Error> {
    let key = names::either(caller, input.log_group_name, input.log_group_identifier)?;
    let stream = input.log_stream_name.ok_or_else(|| invalid("logStreamName is required."))?;
    let token = input.next_token.as_deref().map(|text| Token::parse(text).ok_or_else(invalid_token)).transpose()?;
    let visible = ops::filter_log_events::visible_from(service, &key)?;
    let from = input.start_time.map_or(Position::FIRST, Position::start_of).max(visible);
    // "Events with a timestamp equal to or later than this time are not included."
    let to = input.end_time.map_or(Position::LAST, |end| Position::start_of(end).previous());
    let mut query = Query {
        streams: Streams::Named(vec![stream]),
        from,
        to,
        events_max: input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(EVENTS_PAGE),
        ..Query::new(key)
    };
    match token {
        Some(Token::Behind(place)) => query.from = from.max(place.next()),
        Some(Token::Before(place)) => {
            query.to = to.min(place.previous());
            query.direction = Direction::Backward;
        }
        None if input.start_from_head == Some(true) => {}
        None => query.direction = Direction::Backward,
    }
    // Nothing lies before the first place, or behind the last.
    let nothing = matches!(token, Some(Token::Before(Position::FIRST)) | Some(Token::Behind(Position::LAST)))
        || input.end_time == Some(0);
    let events = if nothing { Vec::new() } else { read(service, query).await? };
    let (forward, backward) = tokens(&events, token, from);
    Ok(GetLogEventsResponse {
        events: Some(events.into_iter().map(views::output_event).collect()),
        next_forward_token: Some(forward.text()),
        next_backward_token: Some(backward.text()),
    })
}

/// One page in chronological order.
async fn read(service: &LogsService, mut query: Query) -> Result<Vec<PageEvent>, Error> {
    loop {
        let page = service.page(query.clone(), |_| true).await?;
        match (page.next, query.direction) {
            // A page ends early when much had to be read for it; an empty one would look like the end.
            (Some(next), Direction::Forward) if page.events.is_empty() => query.from = next,
            (Some(next), Direction::Backward) if page.events.is_empty() => query.to = next,
            (_, Direction::Forward) => return Ok(page.events),
            (_, Direction::Backward) => return Ok(page.events.into_iter().rev().collect()),
        }
    }
}

/// Where the next pages begin. At an end, the token that came is the one that goes.
fn tokens(events: &[PageEvent], came: Option<Token>, from: Position) -> (Token, Token) {
    match (events.first(), events.last(), came) {
        (Some(first), Some(last), _) => (Token::Behind(last.event.position()), Token::Before(first.event.position())),
        (_, _, Some(Token::Behind(place))) => (Token::Behind(place), Token::Before(place.next())),
        (_, _, Some(Token::Before(place))) => (Token::Behind(place.previous()), Token::Before(place)),
        (_, _, None) => (Token::Behind(from.previous()), Token::Before(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_text() {
        for token in [Token::Behind(Position::new(1_700_000_000_000, 7)), Token::Before(Position::LAST)] {
            assert_eq!(Token::parse(&token.text()), Some(token));
        }
        for text in ["", "f/", "f/12/s", "x/00000000000000000000000000000000000000000000000000000001/s", "f/s"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}

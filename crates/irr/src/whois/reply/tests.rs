use proptest::prelude::*;

use super::*;

fn all(stream: &[u8], pieces: usize) -> Result<Vec<Reply>, ReplyError> {
    let mut replies = Replies::new(1000);
    let mut found = Vec::new();
    for piece in stream.chunks(pieces.max(1)) {
        replies.buffer().extend_from_slice(piece);
        while let Some(reply) = replies.next()? {
            found.push(reply);
        }
    }
    Ok(found)
}

fn data(text: &'static str) -> Reply {
    Reply::Data(Bytes::from_static(text.as_bytes()))
}

#[test]
fn replies_split_anywhere_are_read() {
    let stream = b"C\nA5\n1234\nC\nD\nF no such source\nE\nA0\nC\r\nA3\r\nab\nC\r\n";
    let whole = vec![
        Reply::Done,
        data("1234"),
        Reply::NotFound,
        Reply::Failed("no such source".into()),
        Reply::Several,
        data(""),
        data("ab"),
    ];
    for pieces in 1..stream.len() + 1 {
        assert_eq!(all(stream, pieces).as_ref(), Ok(&whole), "in pieces of {pieces}");
    }
}

#[test]
fn lengths_are_exact() {
    for stream in
        ["A4\n1234\nC\n", "A6\n1234\nC\n", "A4\n1234C\n", "A5\n1234\nD\n", "A5\n1234\nC1\n", "A5\n1234\nC\rx"]
    {
        assert_eq!(all(stream.as_bytes(), 3), Err(ReplyError::Length), "{stream:?}");
    }
    assert_eq!(all(b"A9\n1234\nC\n", 3), Ok(vec![]), "not all there yet");
    assert_eq!(all(b"A1001\n", 3), Err(ReplyError::TooLarge(1001)));
    for stream in ["A\n", "A-1\n", "A+5\n", "A5x\n", "A99999999999999999999\n"] {
        assert!(matches!(all(stream.as_bytes(), 3), Err(ReplyError::Unknown(_))), "{stream:?}");
    }
}

#[test]
fn strangers_are_told_from_registries() {
    assert!(matches!(all(b"HTTP/1.1 400 Bad Request\r\n", 9), Err(ReplyError::Unknown(_))));
    assert!(matches!(all(b"Cx\n", 9), Err(ReplyError::Unknown(_))));
    assert!(matches!(all(&[b'x'; MAX_LINE], 999), Err(ReplyError::Unknown(_))));
    assert_eq!(all(b"% RIPE database\n", 9), Err(ReplyError::Refused("% RIPE database".into())));
    let mut replies = Replies::new(1000);
    replies.buffer().extend_from_slice(b"%% Access denied");
    assert_eq!(replies.next(), Ok(None));
    assert_eq!(replies.at_end(), Some(ReplyError::Refused("%% Access denied".into())));
    assert_eq!(Replies::new(9).at_end(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_grow(stream in prop::collection::vec(prop_oneof![Just(b'A'), Just(b'\n'), Just(b'C'),
        Just(b'1'), any::<u8>()], 0..300), pieces in 1usize..40)
    {
        if let Ok(replies) = all(&stream, pieces) {
            let length: usize = replies.iter().map(|r| if let Reply::Data(d) = r { d.len() } else { 0 }).sum();
            prop_assert!(length <= stream.len());
        }
    }

    #[test]
    fn the_way_it_is_split_does_not_matter(texts in prop::collection::vec("[a-z \n]{1,30}", 1..5), pieces in 1usize..50) {
        let stream: String = texts.iter().map(|t| format!("A{}\n{t}\nC\n", t.len() + 1)).collect();
        let expected: Vec<Reply> = texts.iter().map(|t| Reply::Data(Bytes::copy_from_slice(t.as_bytes()))).collect();
        prop_assert_eq!(all(stream.as_bytes(), pieces), Ok(expected));
    }
}

//! Bytes of a peer, in pieces of any size: the decoder takes no more than it wants, and every frame
//! that it returns is encoded to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use punch::proto::wire::{Decoder, MAX_FRAME};

fuzz_target!(|input: (u8, &[u8])| {
    let (size, stream) = input;
    let piece = usize::from(size).max(1);
    let mut decoder = Decoder::default();
    let mut rest = stream;
    let mut frame = Vec::new();
    while !rest.is_empty() {
        let wanted = decoder.wants();
        assert!((1..=MAX_FRAME).contains(&wanted));
        let (now, later) = rest.split_at(wanted.min(piece).min(rest.len()));
        frame.extend_from_slice(now);
        rest = later;
        match decoder.push(now) {
            Ok(None) => {}
            Ok(Some(read)) => {
                assert_eq!(read.encode(), frame, "a frame is what its bytes say");
                frame.clear();
            }
            Err(_) => return,
        }
    }
});

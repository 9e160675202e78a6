//! The frames of a WebP (RFC 9649, section 2). A decoder believes the canvas when it is asked for the size, and then decodes a frame of any
//! size: so each frame's own head is looked at before.

/// Whether all chunks lie within the file, and no frame is larger than the canvas.
pub(super) fn fits(bytes: &[u8], width: u32, height: u32) -> bool {
    const RIFF_HEADER: usize = 12;
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let end = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    end.and_then(|end| bytes.get(RIFF_HEADER..end)).is_some_and(|chunks| chunks_fit(chunks, width, height))
}

fn chunks_fit(mut chunks: &[u8], width: u32, height: u32) -> bool {
    /// Before the chunks of a frame of an animation: its place, size, duration and flags.
    const FRAME_HEADER: usize = 16;
    while !chunks.is_empty() {
        let Some((kind, content, rest)) = split(chunks) else { return false };
        let fits = match kind {
            b"VP8 " => size_of_vp8(content).is_some_and(|(w, h)| w <= width && h <= height),
            b"ANMF" => content.get(FRAME_HEADER..).is_some_and(|frame| chunks_fit(frame, width, height)),
            _ => true, // VP8L is held against its canvas by the decoder
        };
        if !fits {
            return false;
        }
        chunks = rest;
    }
    true
}

/// A chunk's kind and content, and what comes behind it and its padding.
fn split(chunks: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (kind, rest) = chunks.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((kind, content, if content.len() % 2 == 1 { rest.get(1..).unwrap_or_default() } else { rest }))
}

/// Width and height of a key frame (RFC 6386, section 9.1).
fn size_of_vp8(frame: &[u8]) -> Option<(u32, u32)> {
    /// What each key frame has between its tag and its size.
    const START: [u8; 3] = [0x9d, 0x01, 0x2a];
    let [_, _, _, a, b, c, w0, w1, h0, h1, ..] = *frame else { return None };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff); // the rest is for scaling
    (START == [a, b, c]).then(|| (side(w0, w1), side(h0, h1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("it is short").to_le_bytes();
        let padding = vec![0; content.len() % 2];
        [kind.as_slice(), &length, content, &padding].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
    }

    fn frame(width: u16, height: u16) -> Vec<u8> {
        [&[0, 0, 0, 0x9d, 0x01, 0x2a][..], &width.to_le_bytes(), &height.to_le_bytes(), b"frame"].concat()
    }

    #[test]
    fn no_frame_is_larger_than_the_canvas_and_no_chunk_than_the_file() {
        let canvas = chunk(b"VP8X", &[0; 10]);
        let still = |frame: &[u8]| file(&[canvas.clone(), chunk(b"VP8 ", frame)]);
        let moving =
            |frame: &[u8]| file(&[canvas.clone(), chunk(b"ANMF", &[vec![0; 16], chunk(b"VP8 ", frame)].concat())]);
        for (width, height, fitting) in [(40, 30, true), (40, 31, false), (41, 30, false), (16_383, 16_383, false)] {
            assert_eq!(fits(&still(&frame(width, height)), 40, 30), fitting, "{width} × {height}");
            assert_eq!(fits(&moving(&frame(width, height)), 40, 30), fitting, "{width} × {height}, moving");
        }
        assert!(!fits(&still(b"no frame at all"), 40, 30));
        let mut huge = file(&[canvas, chunk(b"ICCP", b"profile")]);
        assert!(fits(&huge, 40, 30));
        let length = huge.len() - 12;
        huge[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!fits(&huge, 40, 30), "a chunk of 4 GiB");
    }
}

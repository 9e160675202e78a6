//! What an upload is, by its content alone, before any of its pixels is looked at: a name or a type that a client gave it says nothing.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

use super::webp;

/// Longest side, in pixels.
pub const MAX_SIDE: u32 = 10_000;
/// What reading a head may take, in bytes: a profile of colours may be packed in it.
const HEAD_MEMORY: u64 = 8 * 1024 * 1024;

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ISO/IEC 10918.
    Jpeg,
    /// <https://www.w3.org/TR/png-3/>
    Png,
    /// RFC 9649.
    WebP,
}

/// Why an upload is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is something else, whatever it is called.
    #[error("is neither a JPEG nor a PNG nor a WebP")]
    OtherType,
    /// Its head can't be read, or its end is missing.
    #[error("is damaged, or broke off")]
    Damaged,
    /// It would take too much to decode it.
    #[error("has too many pixels: at most {max_pixels} are taken, and {MAX_SIDE} on a side")]
    TooLarge {
        /// How many are taken.
        max_pixels: u64,
    },
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Jpeg => Self::Jpeg,
            Format::Png => Self::Png,
            Format::WebP => Self::WebP,
        }
    }
}

/// Says what it is, if it is an image, whole by the look of it, and of no more than so many pixels.
///
/// # Errors
/// See [`NotAnImage`].
pub fn inspect(bytes: &[u8], max_pixels: u64) -> Result<Format, NotAnImage> {
    if bytes.is_empty() {
        return Err(NotAnImage::Empty);
    }
    let format = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Format::Jpeg,
        Ok(ImageFormat::Png) => Format::Png,
        Ok(ImageFormat::WebP) => Format::WebP,
        Ok(_) | Err(_) => return Err(NotAnImage::OtherType),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.into());
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(HEAD_MEMORY);
    reader.limits(limits);
    let (width, height) = reader.into_dimensions().map_err(|_| NotAnImage::Damaged)?;
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > max_pixels {
        return Err(NotAnImage::TooLarge { max_pixels });
    }
    if width == 0 || height == 0 || !is_whole(format, bytes, width, height) {
        return Err(NotAnImage::Damaged);
    }
    Ok(format)
}

/// Whether it has its end, and what it says of itself holds. Decoders are patient with what broke off, and fill it with grey.
fn is_whole(format: Format, bytes: &[u8], width: u32, height: u32) -> bool {
    match format {
        Format::Jpeg => {
            // Within a scan, FF D9 is the end and nothing else (ISO/IEC 10918-1, B.1.1.5); before it, it may be anything.
            scan_of_jpeg(bytes).is_some_and(|scan| scan.windows(2).any(|marker| marker == [0xff, 0xd9]))
        }
        Format::Png => bytes.windows(4).rev().any(|chunk| chunk == b"IEND"),
        Format::WebP => webp::fits(bytes, width, height),
    }
}

/// From the first scan on: behind all segments that say how long they are.
fn scan_of_jpeg(mut bytes: &[u8]) -> Option<&[u8]> {
    bytes = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        match bytes {
            [0xff, 0xda, scan @ ..] => return Some(scan),
            [0xff, 0xff, ..] => bytes = &bytes[1..], // padding
            [0xff, _, high, low, ..] => {
                bytes = bytes.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat};

    use super::*;

    const MOST: u64 = 1_000_000;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        DynamicImage::new_rgb8(40, 30).write_to(&mut bytes, format).expect("it can be written");
        bytes.into_inner()
    }

    #[test]
    fn an_image_is_told_by_its_content_and_has_an_end() {
        for (format, ours) in
            [(ImageFormat::Jpeg, Format::Jpeg), (ImageFormat::Png, Format::Png), (ImageFormat::WebP, Format::WebP)]
        {
            let whole = encoded(format);
            assert_eq!(inspect(&whole, MOST), Ok(ours));
            for cut in [12, 30, whole.len() / 2, whole.len() - 6] {
                let broken = inspect(&whole[..cut], MOST);
                assert!(
                    matches!(broken, Err(NotAnImage::Damaged | NotAnImage::OtherType)),
                    "{format:?} {cut}: {broken:?}"
                );
            }
            assert_eq!(inspect(&[&whole[..], b"what a phone adds"].concat(), MOST), Ok(ours));
        }
    }

    #[test]
    fn what_is_no_image_of_ours_is_told_apart() {
        assert_eq!(inspect(b"", MOST), Err(NotAnImage::Empty));
        for other in
            [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"<!doctype html>", b"GIF89a\x01\0\x01\0", b"BM", b"\0"]
        {
            assert_eq!(inspect(other, MOST), Err(NotAnImage::OtherType), "{other:?}");
        }
    }

    #[test]
    fn too_many_pixels_are_refused_by_the_head() {
        let whole = encoded(ImageFormat::Png);
        assert_eq!(inspect(&whole, 40 * 30), Ok(Format::Png));
        assert_eq!(inspect(&whole, 40 * 30 - 1), Err(NotAnImage::TooLarge { max_pixels: 40 * 30 - 1 }));
    }
}

//! From an upload to what is shown: decoded within limits, turned as the camera was held, and written anew in three sizes. Of all that a
//! file may hold beside the picture (places, names, comments, thumbnails), only its profile of colours is kept.

use std::io::Cursor;

use common::images::{Format, MAX_SIDE, NotAnImage, Written, inspect};
use image::{
    DynamicImage, ImageDecoder as _, ImageEncoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits,
    RgbaImage,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType as RowFilter, PngEncoder},
    },
    imageops::FilterType,
    metadata::Orientation,
};

/// Longest side of the thumbnail for lists and pages, in pixels.
pub const THUMBNAIL: u32 = 480;
/// Longest side of the thumbnail for carts, in pixels.
pub const SMALL_THUMBNAIL: u32 = 160;

/// Of JPEG: nobody sees the loss, and the file is a third of what 95 makes.
const QUALITY: u8 = 85;
/// Largest profile of colours that is kept, in bytes: cameras' and screens' have some hundreds.
const LARGEST_PROFILE: usize = 64 * 1024;
/// What decoding may take beside the pixels, in bytes.
const DECODERS_OWN: u64 = 64 * 1024 * 1024;
/// Most bytes of a pixel: four channels of 16 bits.
const DEEPEST: u64 = 8;

/// What was made of an upload.
#[derive(Debug)]
pub struct Picture {
    /// What all three are.
    pub format: Written,
    /// Of the image, in pixels.
    pub width: i32,
    /// Of the image, in pixels.
    pub height: i32,
    /// The image.
    pub image: Vec<u8>,
    /// At most [`THUMBNAIL`] wide and high.
    pub thumbnail: Vec<u8>,
    /// At most [`SMALL_THUMBNAIL`] wide and high.
    pub small_thumbnail: Vec<u8>,
}

/// Why an upload can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is none.
    #[error("it {0}")]
    NotAnImage(#[from] NotAnImage),
    /// It looks like one, and isn't.
    #[error("it can't be decoded: {0}")]
    Undecodable(#[from] ImageError),
}

/// Makes it. This takes seconds and all the memory that its pixels need: call it where that is fine.
///
/// # Errors
/// See [`Unusable`].
pub fn make(bytes: &[u8], max_pixels: u64) -> Result<Picture, Unusable> {
    let format = inspect(bytes, max_pixels)?;
    let Decoded { image, orientation, profile } = decode(bytes, format, max_pixels)?;
    let mut image = if is_opaque(&image) {
        DynamicImage::ImageRgb8(image.into_rgb8())
    } else {
        DynamicImage::ImageRgba8(image.into_rgba8())
    };
    image.apply_orientation(orientation); // it takes the memory of another one, so small as it can be
    let format = if image.color().has_alpha() { Written::Png } else { Written::Jpeg };
    let thumbnail = shrunk(&image, THUMBNAIL);
    let small_thumbnail = shrunk(&thumbnail, SMALL_THUMBNAIL);
    let written = |image: &DynamicImage| encode(image, format, profile.clone());
    let pixels = |side: u32| i32::try_from(side).unwrap_or(i32::MAX); // at most MAX_SIDE
    Ok(Picture {
        format,
        width: pixels(image.width()),
        height: pixels(image.height()),
        thumbnail: written(&thumbnail)?,
        small_thumbnail: written(&small_thumbnail)?,
        image: written(&image)?,
    })
}

struct Decoded {
    image: DynamicImage,
    /// How it has to be turned to be seen as it is meant.
    orientation: Orientation,
    /// Its colours, where that still fits.
    profile: Option<Vec<u8>>,
}

fn decode(bytes: &[u8], format: Format, max_pixels: u64) -> ImageResult<Decoded> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(max_pixels.saturating_mul(DEEPEST).saturating_add(DECODERS_OWN));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::from(format));
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| is_of_rgb(profile));
    Ok(Decoded { image: DynamicImage::from_decoder(decoder)?, orientation, profile })
}

/// Whether a profile is small and says of which colours the three channels are (ICC.1:2022, 7.2.6 and 7.2.9): with those of ink or grey it
/// would say nothing that is still so.
fn is_of_rgb(profile: &[u8]) -> bool {
    profile.len() <= LARGEST_PROFILE && profile.get(16..20) == Some(b"RGB ") && profile.get(36..40) == Some(b"acsp")
}

fn is_opaque(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().all(|pixel| pixel.0[3] == u8::MAX),
        DynamicImage::ImageLumaA8(image) => image.pixels().all(|pixel| pixel.0[1] == u8::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().all(|pixel| pixel.0[3] == u16::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().all(|pixel| pixel.0[1] == u16::MAX),
        other => !other.color().has_alpha(),
    }
}

/// The whole picture in a square of this side; one that fits already stays as it is.
fn shrunk(image: &DynamicImage, side: u32) -> DynamicImage {
    if image.width() <= side && image.height() <= side {
        return image.clone();
    }
    match image {
        // What can't be seen must not bleed into what can.
        DynamicImage::ImageRgba8(pixels) => {
            let shrunk = DynamicImage::ImageRgba8(premultiplied(pixels)).resize(side, side, FilterType::Triangle);
            DynamicImage::ImageRgba8(unmultiplied(shrunk.into_rgba8()))
        }
        image => image.resize(side, side, FilterType::Triangle),
    }
}

fn premultiplied(image: &RgbaImage) -> RgbaImage {
    let mut image = image.clone();
    for pixel in image.pixels_mut() {
        let [color @ .., alpha] = &mut pixel.0;
        for channel in color {
            *channel = ratio(u32::from(*channel) * u32::from(*alpha), u32::from(u8::MAX));
        }
    }
    image
}

fn unmultiplied(mut image: RgbaImage) -> RgbaImage {
    for pixel in image.pixels_mut() {
        let [color @ .., alpha] = &mut pixel.0;
        for channel in color {
            *channel = ratio(u32::from(*channel) * u32::from(u8::MAX), u32::from(*alpha));
        }
    }
    image
}

fn ratio(numerator: u32, denominator: u32) -> u8 {
    let rounded = (numerator + denominator / 2).checked_div(denominator).unwrap_or_default();
    u8::try_from(rounded).unwrap_or(u8::MAX)
}

fn encode(image: &DynamicImage, format: Written, profile: Option<Vec<u8>>) -> ImageResult<Vec<u8>> {
    let mut bytes = vec![];
    match format {
        Written::Jpeg => write(image, JpegEncoder::new_with_quality(&mut bytes, QUALITY), profile)?,
        Written::Png => {
            let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, RowFilter::Adaptive);
            write(image, encoder, profile)?;
        }
    }
    Ok(bytes)
}

fn write(image: &DynamicImage, mut encoder: impl ImageEncoder, profile: Option<Vec<u8>>) -> ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(ImageError::Unsupported)?;
    }
    encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba};

    use super::*;

    const MOST: u64 = 1_000_000;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        image.write_to(&mut bytes, format).expect("it can be written");
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8]) -> DynamicImage {
        image::load_from_memory(bytes).expect("it can be read")
    }

    #[test]
    fn what_nothing_shines_through_becomes_a_jpeg_and_the_rest_a_png() {
        let opaque = RgbaImage::from_pixel(600, 300, Rgba([200, 100, 50, 255]));
        let mut glass = opaque.clone();
        glass.put_pixel(0, 0, Rgba([0, 0, 0, 254]));
        for (image, written) in [(opaque, Written::Jpeg), (glass, Written::Png)] {
            for format in [ImageFormat::Png, ImageFormat::WebP] {
                let picture = make(&encoded(&image.clone().into(), format), MOST).expect("a picture");
                assert_eq!((picture.format, picture.width, picture.height), (written, 600, 300));
                let sizes = [&picture.image, &picture.thumbnail, &picture.small_thumbnail].map(|made| {
                    let made = decoded(made);
                    (made.width(), made.height())
                });
                assert_eq!(sizes, [(600, 300), (480, 240), (160, 80)]);
            }
        }
    }

    #[test]
    fn a_small_picture_is_not_made_larger() {
        let small = DynamicImage::ImageRgb8(RgbImage::from_pixel(90, 200, Rgb([1, 2, 3])));
        let picture = make(&encoded(&small, ImageFormat::Jpeg), MOST).expect("a picture");
        let (thumbnail, smaller) = (decoded(&picture.thumbnail), decoded(&picture.small_thumbnail));
        assert_eq!([thumbnail.width(), thumbnail.height(), smaller.width(), smaller.height()], [90, 200, 72, 160]);
    }

    #[test]
    fn what_cannot_be_seen_does_not_bleed_into_what_can() {
        let mut image = RgbaImage::from_pixel(1000, 1000, Rgba([0, 0, 0, 0]));
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if x >= 501 {
                *pixel = Rgba([255, 255, 255, 255]);
            }
        }
        let thumbnail = shrunk(&image.into(), THUMBNAIL).into_rgba8();
        let mut edge = thumbnail.pixels().filter(|pixel| pixel.0[3] > 8 && pixel.0[3] < 248).peekable();
        assert!(edge.peek().is_some(), "the edge falls between two pixels");
        assert!(edge.all(|pixel| pixel.0[0] > 240), "black bleeds into white");
    }

    #[test]
    fn sixteen_bits_and_grey_are_fine_and_what_is_damaged_inside_is_told_so() {
        let deep = encoded(&DynamicImage::new_rgb16(20, 20), ImageFormat::Png);
        let grey = encoded(&DynamicImage::new_luma8(20, 20), ImageFormat::Jpeg);
        for fine in [&deep, &grey] {
            assert_eq!(make(fine, MOST).expect("a picture").format, Written::Jpeg);
        }
        let mut damaged = deep;
        let middle = damaged.len() / 2;
        damaged[middle - 4..middle + 4].fill(0x55);
        assert!(matches!(make(&damaged, MOST), Err(Unusable::Undecodable(_))));
        assert!(matches!(make(&grey, 399), Err(Unusable::NotAnImage(NotAnImage::TooLarge { .. }))));
    }

    #[test]
    fn a_profile_of_other_colours_is_not_kept() {
        let profile = |space: &[u8; 4]| {
            let mut profile = vec![0; 128];
            profile[16..20].copy_from_slice(space);
            profile[36..40].copy_from_slice(b"acsp");
            profile
        };
        assert!(is_of_rgb(&profile(b"RGB ")));
        assert!(!is_of_rgb(&profile(b"CMYK")) && !is_of_rgb(b"RGB ") && !is_of_rgb(&vec![0; LARGEST_PROFILE + 1]));
    }
}

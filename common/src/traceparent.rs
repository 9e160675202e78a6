//! W3C Trace Context, version 00: <https://www.w3.org/TR/trace-context/>. What else a caller's trace may carry (`tracestate`) is its
//! vendor's, and goes no further.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
    str::FromStr,
};

/// A trace: 16 bytes, as 32 digits in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for TraceId {
    type Err = InvalidTrace;

    fn from_str(s: &str) -> Result<Self, InvalidTrace> {
        Ok(Self(hex::<u128>(s, 32)?.try_into().map_err(|_| InvalidTrace)?))
    }
}

/// A place in a trace: `00-`, the trace, `-`, the span that this is part of, `-`, and whether its callers record it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    trace: TraceId,
    span: NonZeroU64,
    sampled: bool,
}

/// Neither a `traceparent` nor a trace's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no trace")]
pub struct InvalidTrace;

impl Traceparent {
    /// The first span of a new trace. It is sampled: all of it is logged.
    pub fn start() -> Self {
        Self { trace: TraceId(rand::random()), span: rand::random(), sampled: true }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::random(), ..self }
    }

    /// Another span, of that trace.
    #[must_use]
    pub fn of(self, trace: TraceId) -> Self {
        Self { trace, ..self.child() }
    }

    /// The trace.
    pub fn trace_id(self) -> TraceId {
        self.trace
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for Traceparent {
    type Err = InvalidTrace;

    /// Reads a header of this version, and of a later one what this version knows of it.
    fn from_str(s: &str) -> Result<Self, InvalidTrace> {
        const LENGTH: usize = 55;
        let (known, later) = s.split_at_checked(LENGTH).ok_or(InvalidTrace)?;
        let [version, trace, span, flags] = *known.split('-').collect::<Vec<_>>() else { return Err(InvalidTrace) };
        match hex::<u8>(version, 2)? {
            0 if !later.is_empty() => return Err(InvalidTrace),
            0xff => return Err(InvalidTrace),
            _ if !later.is_empty() && !later.starts_with('-') => return Err(InvalidTrace),
            _ => {}
        }
        let span = hex::<u64>(span, 16)?.try_into().map_err(|_| InvalidTrace)?;
        Ok(Self { trace: trace.parse()?, span, sampled: hex::<u8>(flags, 2)? & 1 == 1 })
    }
}

/// A number of so many digits in lower-case hex.
fn hex<N: TryFrom<u128>>(s: &str, digits: usize) -> Result<N, InvalidTrace> {
    let lower = |b| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if s.len() != digits || !s.bytes().all(lower) {
        return Err(InvalidTrace);
    }
    let number = u128::from_str_radix(s, 16).map_err(|_| InvalidTrace)?;
    number.try_into().map_err(|_| InvalidTrace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_specifications_example_is_read_and_written_as_it_is() {
        let parsed: Traceparent = EXAMPLE.parse().expect("it is valid");
        assert_eq!(parsed.to_string(), EXAMPLE);
        assert_eq!(parsed.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let child = parsed.child();
        assert_eq!(child.trace_id(), parsed.trace_id());
        assert_ne!(child.span, parsed.span);
    }

    #[test]
    fn a_new_trace_can_be_read_and_is_another_each_time() {
        let [one, other] = [Traceparent::start(), Traceparent::start()];
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(one.trace_id(), other.trace_id());
    }

    #[test]
    fn what_this_version_does_not_know_is_not_passed_on() {
        let later: Traceparent = format!("cc{}-what-comes-later", &EXAMPLE[2..]).parse().expect("a later version");
        assert_eq!(later.to_string(), EXAMPLE);
        let flags: Traceparent = format!("{}fe", &EXAMPLE[..53]).parse().expect("flags are a byte");
        assert_eq!(flags.to_string(), format!("{}00", &EXAMPLE[..53]));
    }

    #[test]
    fn what_the_specification_forbids_is_no_trace() {
        let zeros = |n| "0".repeat(n);
        for invalid in [
            String::new(),
            "00".into(),
            EXAMPLE[..54].into(),
            format!("{EXAMPLE}-"),
            format!("{EXAMPLE}0"),
            format!("cc{}0", &EXAMPLE[2..]),
            format!("ff{}", &EXAMPLE[2..]),
            format!("0x{}", &EXAMPLE[2..]),
            EXAMPLE.to_uppercase(),
            EXAMPLE.replace('-', "_"),
            EXAMPLE.replace("4bf9", "+bf9"),
            EXAMPLE.replace("4bf9", "4 f9"),
            EXAMPLE.replace("4bf9", "4é9"),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros(32)),
            EXAMPLE.replace("00f067aa0ba902b7", &zeros(16)),
            format!(" {EXAMPLE}"),
            "-".repeat(55),
        ] {
            assert_eq!(invalid.parse::<Traceparent>(), Err(InvalidTrace), "{invalid}");
        }
    }
}

//! The orders that values are compared in.

use std::cmp::Ordering;

use super::metadata::{Meaning, Physical};
use super::values::{i32_of, i64_of};

/// The order of the values of a column, which its bounds are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// No order that is defined, or none that writers agree on.
    None,
    Boolean,
    Int32,
    Int64,
    Unsigned32,
    Unsigned64,
    Float,
    Double,
    Bytes,
    SignedBytes,
}

impl Order {
    pub fn of(physical: Physical, meaning: &Meaning) -> Self {
        let unsigned = matches!(meaning, Meaning::Integer { signed: false, .. });
        match (physical, meaning) {
            (Physical::Boolean, _) => Self::Boolean,
            (Physical::Int32, _) if unsigned => Self::Unsigned32,
            (Physical::Int32, _) => Self::Int32,
            (Physical::Int64, _) if unsigned => Self::Unsigned64,
            (Physical::Int64, _) => Self::Int64,
            (Physical::Float, _) => Self::Float,
            (Physical::Double, _) => Self::Double,
            (Physical::ByteArray, Meaning::Text | Meaning::Plain) => Self::Bytes,
            (Physical::Fixed(_), Meaning::Decimal { .. }) => Self::SignedBytes,
            (Physical::Fixed(_), Meaning::Plain) => Self::Bytes,
            _ => Self::None,
        }
    }

    /// Whether footers may have bounds: those of floats say nothing of NaN, and readers differ about it.
    pub fn in_footer(self) -> bool {
        !matches!(self, Self::None | Self::Float | Self::Double)
    }

    pub fn width(self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Int32 | Self::Unsigned32 | Self::Float => Some(4),
            Self::Int64 | Self::Unsigned64 | Self::Double => Some(8),
            Self::None | Self::Bytes | Self::SignedBytes => None,
        }
    }

    pub fn compare(self, one: &[u8], other: &[u8]) -> Ordering {
        match self {
            Self::Int32 => i32_of(one).cmp(&i32_of(other)),
            Self::Int64 => i64_of(one).cmp(&i64_of(other)),
            Self::Unsigned32 => (i32_of(one) as u32).cmp(&(i32_of(other) as u32)),
            Self::Unsigned64 => (i64_of(one) as u64).cmp(&(i64_of(other) as u64)),
            Self::Float => f32::from_bits(i32_of(one) as u32).total_cmp(&f32::from_bits(i32_of(other) as u32)),
            Self::Double => f64::from_bits(i64_of(one) as u64).total_cmp(&f64::from_bits(i64_of(other) as u64)),
            Self::SignedBytes => {
                let sign = |value: &[u8]| value.first().is_some_and(|byte| byte & 0x80 != 0);
                sign(other).cmp(&sign(one)).then_with(|| one.cmp(other))
            }
            Self::None | Self::Boolean | Self::Bytes => one.cmp(other),
        }
    }

    pub fn is_nan(self, value: &[u8]) -> bool {
        match self {
            Self::Float => f32::from_bits(i32_of(value) as u32).is_nan(),
            Self::Double => f64::from_bits(i64_of(value) as u64).is_nan(),
            _ => false,
        }
    }
}

//! Bounds: of values that are at hand, and those that footers tell.

use std::cmp::Ordering;

use super::metadata::{Physical, Statistics};
use super::order::Order;
use super::short::Short;
use super::values::Values;
use crate::wide::over_rows;

const LONGEST_BOUND: usize = 4096;

/// The first eight bytes, or zeros where there are none, so that they compare as the whole values do, unless they are the same.
fn beginning(value: &[u8]) -> u64 {
    match value.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => (0..8).fold(0, |number, i| number << 8 | u64::from(value.get(i).copied().unwrap_or(0))),
    }
}

/// Bounds of some values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bounds {
    /// There is no value.
    Empty,
    /// There are values, but nothing that holds for all of them is known. A NaN is such a value.
    Unknown,
    Within {
        minimum: Short,
        maximum: Short,
        minimum_exact: bool,
        maximum_exact: bool,
    },
}

impl Bounds {
    pub fn widen(&mut self, other: &Self, order: Order) {
        match (&mut *self, other) {
            (_, Self::Empty) | (Self::Unknown, _) => {}
            (_, Self::Unknown) => *self = Self::Unknown,
            (Self::Empty, Self::Within { .. }) => *self = other.clone(),
            (
                Self::Within { minimum, maximum, minimum_exact, maximum_exact },
                Self::Within { minimum: low, maximum: high, minimum_exact: low_exact, maximum_exact: high_exact },
            ) => {
                match order.compare(low, minimum) {
                    Ordering::Less => (*minimum, *minimum_exact) = (low.clone(), *low_exact),
                    Ordering::Equal => *minimum_exact |= low_exact,
                    Ordering::Greater => {}
                }
                match order.compare(high, maximum) {
                    Ordering::Greater => (*maximum, *maximum_exact) = (high.clone(), *high_exact),
                    Ordering::Equal => *maximum_exact |= high_exact,
                    Ordering::Less => {}
                }
            }
        }
    }

    /// Whether both are values that there are.
    pub fn exact(&self) -> bool {
        !matches!(self, Self::Within { minimum_exact: false, .. } | Self::Within { maximum_exact: false, .. })
    }

    /// Of a writer that is known to be right, as its footer has them. `values` of them are not null.
    pub fn of_footer(found: &Statistics, order: Order, physical: Physical, values: usize) -> Self {
        if values == 0 {
            return Self::Empty;
        }
        let width = order.width().or(physical.width());
        let fits = |value: &[u8]| width.is_none_or(|width| value.len() == width) && value.len() <= LONGEST_BOUND;
        match (&found.minimum, &found.maximum) {
            (Some(minimum), Some(maximum)) if order.in_footer() && fits(minimum) && fits(maximum) => {
                if order.compare(minimum, maximum) == Ordering::Greater {
                    return Self::Unknown;
                }
                let exact = |flag: Option<bool>| flag.unwrap_or(width.is_some());
                Self::Within {
                    minimum: minimum.clone(),
                    maximum: maximum.clone(),
                    minimum_exact: exact(found.minimum_exact),
                    maximum_exact: exact(found.maximum_exact),
                }
            }
            _ => Self::Unknown,
        }
    }

    /// Of these values.
    pub fn of_values<'a>(values: impl Iterator<Item = &'a [u8]>, order: Order) -> Self {
        if order == Order::None {
            return if values.count() == 0 { Self::Empty } else { Self::Unknown };
        }
        if matches!(order, Order::Bytes | Order::SignedBytes) {
            return Self::of_bytes(values, order);
        }
        let mut range: Option<(&[u8], &[u8])> = None;
        for value in values {
            if order.is_nan(value) {
                return Self::Unknown;
            }
            range = Some(match range {
                None => (value, value),
                Some((low, high)) => (
                    if order.compare(value, low) == Ordering::Less { value } else { low },
                    if order.compare(value, high) == Ordering::Greater { value } else { high },
                ),
            });
        }
        range.map_or(Self::Empty, |(low, high)| Self::between(low, high))
    }

    /// As `of_values`: nearly all comparisons end in the first eight bytes.
    fn of_bytes<'a>(mut values: impl Iterator<Item = &'a [u8]>, order: Order) -> Self {
        let flipped = if order == Order::SignedBytes { 1 << 63 } else { 0 };
        let first = |value: &[u8]| beginning(value) ^ flipped;
        let Some(any) = values.next() else { return Self::Empty };
        let (mut low, mut high) = ((first(any), any), (first(any), any));
        for value in values {
            let found = first(value);
            if found < low.0 || (found == low.0 && order.compare(value, low.1) == Ordering::Less) {
                low = (found, value);
            }
            if found > high.0 || (found == high.0 && order.compare(value, high.1) == Ordering::Greater) {
                high = (found, value);
            }
        }
        if low.1.len() <= LONGEST_BOUND && high.1.len() <= LONGEST_BOUND { Self::between(low.1, high.1) } else { Self::Unknown }
    }

    fn between(low: &[u8], high: &[u8]) -> Self {
        Self::Within { minimum: low.into(), maximum: high.into(), minimum_exact: true, maximum_exact: true }
    }

    fn from<T, const N: usize>((low, high): (T, T), bytes: fn(T) -> [u8; N]) -> Self {
        Self::between(&bytes(low), &bytes(high))
    }

    /// Of PLAIN values that were checked.
    pub fn of_plain(data: &[u8], physical: Physical, order: Order) -> Self {
        match order {
            _ if data.is_empty() => Self::Empty,
            Order::Int32 => Self::from(ints(data), i32::to_le_bytes),
            Order::Int64 => Self::from(longs(data), i64::to_le_bytes),
            Order::Float => floats(data).map_or(Self::Unknown, |range| Self::from(range, i32::to_le_bytes)),
            Order::Double => doubles(data).map_or(Self::Unknown, |range| Self::from(range, i64::to_le_bytes)),
            _ => Self::of_values(Values::new(data, physical), order),
        }
    }
}

over_rows! {
    /// The lowest and the highest number.
    fn ints(data: &[u8]) -> (i32, i32) {
        let values = data.as_chunks().0.iter().map(|value| i32::from_le_bytes(*value));
        values.fold((i32::MAX, i32::MIN), |(low, high), value| (low.min(value), high.max(value)))
    }

    /// As ints.
    fn longs(data: &[u8]) -> (i64, i64) {
        let values = data.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value));
        values.fold((i64::MAX, i64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    }

    /// The lowest and the highest float by their bits, None where one is a NaN: without the sign, in which those of a NaN are more than
    /// those of infinity, negative ones are in reverse.
    fn floats(data: &[u8]) -> Option<(i32, i32)> {
        let (mut low, mut high, mut largest) = (i32::MAX, i32::MIN, 0);
        for value in data.as_chunks().0 {
            let value = i32::from_le_bytes(*value);
            let place = value ^ (value >> 31 & i32::MAX);
            (low, high, largest) = (low.min(place), high.max(place), largest.max(value & i32::MAX));
        }
        let in_order = |place: i32| place ^ (place >> 31 & i32::MAX);
        (largest <= f32::INFINITY.to_bits() as i32).then_some((in_order(low), in_order(high)))
    }

    /// As floats.
    fn doubles(data: &[u8]) -> Option<(i64, i64)> {
        let (mut low, mut high, mut largest) = (i64::MAX, i64::MIN, 0);
        for value in data.as_chunks().0 {
            let value = i64::from_le_bytes(*value);
            let place = value ^ (value >> 63 & i64::MAX);
            (low, high, largest) = (low.min(place), high.max(place), largest.max(value & i64::MAX));
        }
        let in_order = |place: i64| place ^ (place >> 63 & i64::MAX);
        (largest <= f64::INFINITY.to_bits() as i64).then_some((in_order(low), in_order(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_numbers_and_decimals_have_an_order_of_their_own() {
        let values = [1i32.to_le_bytes(), (-1i32).to_le_bytes()].concat();
        let bounds = Bounds::of_plain(&values, Physical::Int32, Order::Unsigned32);
        assert_eq!(bounds, Bounds::between(&1i32.to_le_bytes(), &(-1i32).to_le_bytes()));
        let bounds = Bounds::of_plain(&[0, 5, 0xff, 0xfe, 0x7f, 0], Physical::Fixed(2), Order::SignedBytes);
        assert_eq!(bounds, Bounds::between(&[0xff, 0xfe], &[0x7f, 0]));
    }

    #[test]
    fn bounds_of_bytes_are_the_first_and_the_last_of_them_in_order() {
        let mut seed = 5u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize
        };
        for _ in 0..3000 {
            let values: Vec<Vec<u8>> =
                (0..1 + next() % 6).map(|_| (0..next() % 11).map(|_| [0, 1, 0x7f, 0x80, 0xff][next() % 5]).collect()).collect();
            for order in [Order::Bytes, Order::SignedBytes] {
                let all = || values.iter().map(Vec::as_slice);
                let low = all().min_by(|one, other| order.compare(one, other)).expect("some");
                let high = all().max_by(|one, other| order.compare(one, other)).expect("some");
                assert_eq!(Bounds::of_values(all(), order), Bounds::between(low, high));
            }
        }
    }

    #[test]
    fn a_nan_leaves_no_bounds() {
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)] {
            for values in [[1f64, nan], [nan, -1f64]] {
                let stored = values.map(f64::to_le_bytes).concat();
                assert_eq!(Bounds::of_plain(&stored, Physical::Double, Order::Double), Bounds::Unknown);
                let stored = values.map(|value| (value as f32).to_le_bytes()).concat();
                assert_eq!(Bounds::of_plain(&stored, Physical::Float, Order::Float), Bounds::Unknown);
            }
        }
    }

    #[test]
    fn bounds_of_floats_are_in_their_total_order() {
        let all = [0.0, -0.0, 1.5, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, f64::MAX, f64::MIN];
        for one in all {
            for other in all {
                let (low, high) = if one.total_cmp(&other).is_le() { (one, other) } else { (other, one) };
                let found = Bounds::of_plain(&[one.to_le_bytes(), other.to_le_bytes()].concat(), Physical::Double, Order::Double);
                assert_eq!(found, Bounds::between(&low.to_le_bytes(), &high.to_le_bytes()));
                let stored = [(one as f32).to_le_bytes(), (other as f32).to_le_bytes()].concat();
                let found = Bounds::of_plain(&stored, Physical::Float, Order::Float);
                assert_eq!(found, Bounds::between(&(low as f32).to_le_bytes(), &(high as f32).to_le_bytes()));
            }
        }
    }
}

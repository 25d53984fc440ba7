//! What depends on the processor: functions that are compiled more than once, for those of more and of fewer features, of which the right one is
//! chosen when it is called; and memory that is asked for before it is needed.

/// Defines functions over many values: compiled for every processor, and once more for those that calculate with eight words at once.
macro_rules! over_rows {
    ($($(#[$about:meta])* fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {
        $($(#[$about])*
        pub fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn anywhere($($argument: $kind),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
                fn wide($($argument: $kind),*) $(-> $result)? {
                    anywhere($($argument),*)
                }

                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has just said that it has every feature that the function was compiled for.
                    return unsafe { wide($($argument),*) };
                }
            }
            anywhere($($argument),*)
        })*
    };
}

pub(crate) use over_rows;

const LINE_BYTES: usize = 64;
const MOST_LINES: usize = 8;

/// Asks for the first of these bytes, which then are at hand when they are read a little later.
pub fn expect(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE_BYTES).take(MOST_LINES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: nothing is read: a processor may leave it undone, and does nothing that a program could notice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

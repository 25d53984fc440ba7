//! Functions that are compiled more than once, for processors of more and of fewer features; which of them runs is found out when it is called.

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

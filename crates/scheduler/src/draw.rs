//! What decides between equals. Nothing here is random: a draw follows from the caller's seed.

/// Spreads the bits of a number. Source: Sebastiano Vigna, splitmix64.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where an instance stands on the circle on which equals are put: whoever stands next behind the draw is chosen.
///
/// Source: Fowler, Noll, Vo, the hash FNV-1a.
pub fn tie(instance: &str) -> u64 {
    let hash = instance
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(hash)
}

/// The draws of one placement: the first decides between equals, and the strategy `random` goes on from there.
pub fn draws(seed: u64, placement: u64) -> impl Iterator<Item = u64> {
    let first = mix(seed.wrapping_add(placement));
    (0..).map(move |number: u64| if number == 0 { first } else { mix(first.wrapping_add(number)) })
}

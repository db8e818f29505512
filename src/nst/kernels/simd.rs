//! Sixteen `f32` lanes on whatever the processor has: AVX-512, AVX2 with FMA, NEON, or plain Rust.
//!
//! Every kernel is written once over [`Lanes`], and [`Isa::run`] compiles it once per instruction set. Results repeat
//! exactly within one instruction set. Between instruction sets they differ in rounding only.

use std::fmt;

/// The lanes of a [`Lanes`], and the channels of one pixel that are next to each other in memory.
pub const LANES: usize = 16;

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Every 64-bit ARM processor has it.
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Isa {
    /// The instruction sets of this processor, the fastest first; never empty.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self::Neon);
        found.push(Self::Portable);
        found
    }

    /// The instruction set with this name, or without a name the fastest that this processor has.
    ///
    /// # Errors
    /// When this processor or build lacks it; the message lists those that it has.
    pub fn named(name: Option<&str>) -> Result<Self, String> {
        let available = Self::available();
        let Some(name) = name else { return Ok(available[0]) };
        available.iter().copied().find(|isa| isa.to_string() == name).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(Self::to_string).collect();
            format!("there is no instruction set `{name}` here; this processor offers {}", names.join(", "))
        })
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<x86::Avx512>()
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<x86::Avx2>()
        }
        // The checks read a cached word, which costs nothing compared with a kernel.
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                assert!(is_x86_feature_detected!("avx512f"), "this processor has no AVX-512");
                // SAFETY: the line above has checked it.
                unsafe { avx512(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                assert!(
                    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
                    "this processor has no AVX2"
                );
                // SAFETY: the lines above have checked it.
                unsafe { avx2(kernel) }
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => kernel.run::<neon::Neon>(),
            Self::Portable => kernel.run::<Portable>(),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}

/// Runs loops over pixels compiled for wider registers where the processor has them. Unlike a [`Kernel`], `work` is plain
/// Rust, and its result is the same to the bit on every processor: nothing is fused. `work`, and all that it calls, must
/// be `#[inline(always)]`.
#[inline]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
        fn avx512<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        let has_wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        if has_wide && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the line above has checked it.
            return unsafe { avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the line above has checked it.
            return unsafe { avx2(work) };
        }
    }
    work()
}

/// Work that is generic over the instruction set. `run`, and all functions that it calls, must be `#[inline(always)]`:
/// only then does [`Isa::run`] compile them with the wider registers.
pub trait Kernel {
    type Output;
    fn run<L: Lanes>(self) -> Self::Output;
}

/// Sixteen `f32`.
///
/// An implementation may only be used on a processor that has its instruction set. [`Isa::run`] checks that.
pub trait Lanes: Copy {
    /// The rows of a register tile of the matrix product, whose values are broadcast.
    const ROWS: usize;
    /// Whether a register tile is two columns of lanes wide.
    const WIDE: bool;
    fn splat(value: f32) -> Self;
    /// # Safety
    /// Sixteen floats are readable at `from`, in any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// As [`Lanes::load`], with 0 in the lanes whose bit is 0.
    ///
    /// # Safety
    /// As for [`Lanes::load`].
    unsafe fn load_masked(from: *const f32, bits: u16) -> Self;
    /// # Safety
    /// Sixteen floats are writable at `to`, in any alignment.
    unsafe fn store(self, to: *mut f32);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `other` where either is NaN, so that `zero.max(x)` is a ReLU that keeps NaN.
    fn max(self, other: Self) -> Self;
    /// A bit for each lane that equals the other's.
    fn equal(self, other: Self) -> u16;
    /// A bit for each lane above 0.
    fn positive(self) -> u16;
}

/// Plain Rust. The compiler vectorizes it with the instructions that every processor of the target has.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn map(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn bits(self, f: impl Fn(usize, f32) -> bool) -> u16 {
        self.0.iter().enumerate().fold(0, |bits, (i, &v)| bits | (f(i, v) as u16) << i)
    }
}

impl Lanes for Portable {
    const ROWS: usize = 3;
    const WIDE: bool = false;
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen floats.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_masked(from: *const f32, bits: u16) -> Self {
        // SAFETY: the caller vouches for sixteen floats.
        let all = unsafe { Self::load(from) };
        Self(std::array::from_fn(|i| if bits >> i & 1 == 1 { all.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for sixteen floats.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.map(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`: without FMA instructions that calls the maths library.
        self.mul(factor).add(addend)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.map(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn equal(self, other: Self) -> u16 {
        self.bits(|i, v| v == other.0[i])
    }
    #[inline(always)]
    fn positive(self) -> u16 {
        self.bits(|_, v| v > 0.0)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// Intrinsics on values alone, without pointers.
    macro_rules! on_values {
        ($call:expr) => {
            // SAFETY: `Isa::run` reaches the types of this module only on a processor that has their instructions, and
            // values need nothing else.
            unsafe { $call }
        };
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    impl Lanes for Avx512 {
        const ROWS: usize = 12;
        const WIDE: bool = true;
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(on_values!(_mm512_set1_ps(value)))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for sixteen floats; the processor has AVX-512, as in `on_values!`.
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn load_masked(from: *const f32, bits: u16) -> Self {
            // SAFETY: the caller vouches for sixteen floats; the processor has AVX-512, as in `on_values!`.
            Self(unsafe { _mm512_maskz_loadu_ps(bits, from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for sixteen floats; the processor has AVX-512, as in `on_values!`.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(on_values!(_mm512_add_ps(self.0, other.0)))
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(on_values!(_mm512_sub_ps(self.0, other.0)))
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(on_values!(_mm512_mul_ps(self.0, other.0)))
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(on_values!(_mm512_fmadd_ps(self.0, factor.0, addend.0)))
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(on_values!(_mm512_max_ps(self.0, other.0)))
        }
        #[inline(always)]
        fn equal(self, other: Self) -> u16 {
            on_values!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0))
        }
        #[inline(always)]
        fn positive(self) -> u16 {
            on_values!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps()))
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2(__m256, __m256);

    impl Avx2 {
        #[inline(always)]
        fn compare<const HOW: i32>(self, other: Self) -> u16 {
            // No closure for the halves: it would be compiled without AVX2 if it is not inlined.
            let low = on_values!(_mm256_movemask_ps(_mm256_cmp_ps::<HOW>(self.0, other.0)));
            let high = on_values!(_mm256_movemask_ps(_mm256_cmp_ps::<HOW>(self.1, other.1)));
            (low | high << 8) as u16
        }
    }

    /// All ones in each of eight lanes whose bit is set.
    #[inline(always)]
    fn expand_mask(bits: u16) -> __m256 {
        on_values!({
            let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_and_si256(_mm256_set1_epi32(bits as i32), lane);
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane))
        })
    }

    impl Lanes for Avx2 {
        const ROWS: usize = 6;
        const WIDE: bool = false;
        #[inline(always)]
        fn splat(value: f32) -> Self {
            on_values!(Self(_mm256_set1_ps(value), _mm256_set1_ps(value)))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for sixteen floats; the processor has AVX2, as in `on_values!`.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }
        #[inline(always)]
        unsafe fn load_masked(from: *const f32, bits: u16) -> Self {
            // SAFETY: the caller vouches for sixteen floats.
            let all = unsafe { Self::load(from) };
            let (low, high) = (expand_mask(bits), expand_mask(bits >> 8));
            on_values!(Self(_mm256_and_ps(all.0, low), _mm256_and_ps(all.1, high)))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for sixteen floats; the processor has AVX2, as in `on_values!`.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            on_values!(Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)))
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            on_values!(Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)))
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            on_values!(Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)))
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            on_values!(Self(_mm256_fmadd_ps(self.0, factor.0, addend.0), _mm256_fmadd_ps(self.1, factor.1, addend.1)))
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            on_values!(Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)))
        }
        #[inline(always)]
        fn equal(self, other: Self) -> u16 {
            self.compare::<_CMP_EQ_OQ>(other)
        }
        #[inline(always)]
        fn positive(self) -> u16 {
            self.compare::<_CMP_GT_OQ>(Self::splat(0.0))
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::Lanes;
    use std::arch::aarch64::*;
    use std::array::from_fn;

    /// Intrinsics on values alone, without pointers.
    macro_rules! on_values {
        ($call:expr) => {
            // SAFETY: every processor of this architecture has NEON, and values need nothing else.
            unsafe { $call }
        };
    }

    #[derive(Clone, Copy)]
    pub struct Neon([float32x4_t; 4]);

    impl Neon {
        #[inline(always)]
        fn map(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
            Self(from_fn(|n| f(self.0[n], other.0[n])))
        }
    }

    /// The bit of each lane of a quarter.
    #[inline(always)]
    fn places(quarter: usize) -> uint32x4_t {
        let bit = |lane: usize| 1 << (4 * quarter + lane);
        // SAFETY: an array of four numbers is readable.
        unsafe { vld1q_u32([bit(0), bit(1), bit(2), bit(3)].as_ptr()) }
    }

    /// The bits of the lanes whose masks are all ones.
    #[inline(always)]
    fn bits(masks: [uint32x4_t; 4]) -> u16 {
        let quarters: [u32; 4] = from_fn(|n| on_values!(vaddvq_u32(vandq_u32(masks[n], places(n)))));
        (quarters[0] | quarters[1] | quarters[2] | quarters[3]) as u16
    }

    impl Lanes for Neon {
        const ROWS: usize = 6;
        const WIDE: bool = false;
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self([on_values!(vdupq_n_f32(value)); 4])
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for sixteen floats.
            Self(from_fn(|n| unsafe { vld1q_f32(from.add(4 * n)) }))
        }
        #[inline(always)]
        unsafe fn load_masked(from: *const f32, bits: u16) -> Self {
            // SAFETY: the caller vouches for sixteen floats.
            let all = unsafe { Self::load(from) };
            Self(from_fn(|n| {
                on_values!({
                    let mask = vtstq_u32(vdupq_n_u32(u32::from(bits)), places(n));
                    vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(all.0[n]), mask))
                })
            }))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for sixteen floats.
            (0..4).for_each(|n| unsafe { vst1q_f32(to.add(4 * n), self.0[n]) });
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self.map(other, |a, b| on_values!(vaddq_f32(a, b)))
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self.map(other, |a, b| on_values!(vsubq_f32(a, b)))
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self.map(other, |a, b| on_values!(vmulq_f32(a, b)))
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(from_fn(|n| on_values!(vfmaq_f32(addend.0[n], self.0[n], factor.0[n]))))
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // Not `vmaxq_f32`: it is NaN where either is.
            self.map(other, |a, b| on_values!(vbslq_f32(vcgtq_f32(a, b), a, b)))
        }
        #[inline(always)]
        fn equal(self, other: Self) -> u16 {
            bits(from_fn(|n| on_values!(vceqq_f32(self.0[n], other.0[n]))))
        }
        #[inline(always)]
        fn positive(self) -> u16 {
            bits(from_fn(|n| on_values!(vcgtzq_f32(self.0[n]))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::testing::Random;

    /// Every operation on the same numbers.
    struct Operations<'a> {
        values: &'a [[f32; LANES]; 3],
        bits: u16,
    }

    impl Kernel for Operations<'_> {
        type Output = (Vec<[f32; LANES]>, [u16; 2]);

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Output {
            let stored = |lanes: L| {
                let mut out = [0.0; LANES];
                // SAFETY: the array has sixteen floats.
                unsafe { lanes.store(out.as_mut_ptr()) };
                out
            };
            // SAFETY: the arrays have sixteen floats each.
            let [a, b, c] = self.values.each_ref().map(|values| unsafe { L::load(values.as_ptr()) });
            // SAFETY: as above.
            let masked = unsafe { L::load_masked(self.values[0].as_ptr(), self.bits) };
            let made = [a.add(b), a.sub(b), a.mul(b), a.mul_add(b, c), a.max(b), masked, L::splat(1.5)];
            (made.into_iter().map(stored).collect(), [a.equal(b), a.positive()])
        }
    }

    #[test]
    fn vectorized_loops_give_the_bits_of_plain_ones() {
        let values: Vec<f32> = (0..1003).map(|n| n as f32 * 0.37 - 150.0).collect();
        let each = |v: f32| (v * v + 0.1).sqrt() * 0.3 - v / 7.0;
        let plain: Vec<u32> = values.iter().map(|&v| std::hint::black_box(each(v)).to_bits()).collect();
        let wide: Vec<u32> = vectorized(
            #[inline(always)]
            || values.iter().map(|&v| each(v).to_bits()).collect(),
        );
        assert_eq!(wide, plain);
    }

    #[test]
    fn every_instruction_set_computes_what_plain_rust_does() {
        let mut random = Random(11);
        for round in 0..200 {
            let mut values = [[0.0; LANES]; 3].map(|row: [f32; LANES]| row.map(|_| random.uniform() - 0.5));
            for lane in 0..LANES {
                match (lane + round) % 7 {
                    0 => values[0][lane] = f32::NAN,
                    1 => values[1][lane] = f32::NAN,
                    2 => values[1][lane] = values[0][lane],
                    3 => values[0][lane] = [0.0, -0.0, f32::INFINITY, -1e-40][round % 4],
                    _ => {}
                }
            }
            let bits = (random.uniform() * 65536.0) as u16;
            let of = |isa: Isa| isa.run(Operations { values: &values, bits });
            let (plain, plain_bits) = of(Isa::Portable);
            for isa in Isa::available() {
                let (made, bits) = of(isa);
                assert_eq!(bits, plain_bits, "{isa}");
                for (operation, (made, plain)) in made.iter().zip(&plain).enumerate() {
                    for (made, plain) in made.iter().zip(plain) {
                        let close = (made - plain).abs() < 1e-6 || made == plain || made.is_nan() && plain.is_nan();
                        assert!(close, "{isa}, operation {operation}: {made} {plain}");
                    }
                }
            }
        }
    }
}

//! The frozen VGG19 trunk: named taps, forward and backward, written out by hand for a straight chain.
//!
//! The forward pass keeps the activations of the taps and, of all other layers, one bit per value: whether a gradient
//! passes. That is all that the way back through frozen convolutions, ReLUs and pools needs.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::first::{self, First, Padded};
use crate::nst::kernels::conv::winograd::{self, Winograd};
use crate::nst::kernels::conv::{Activate, Edged, Gather, Masked, Plain, Unpooled, back_through};
use crate::nst::kernels::parallel::Shared;
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::layers::{MEAN, Padding, Pool, STD, Tap};
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;

/// The network up to its deepest tap, kernels prepared for the CPU.
pub struct Trunk {
    isa: Isa,
    pool: Pool,
    first: First,
    /// conv1_2 and on.
    deeper: Vec<Frozen>,
}

/// A convolution of sixteen or more channels.
struct Frozen {
    forward: Winograd,
    backward: Winograd,
    bias: Vec<f32>,
}

/// Everything that evaluations of one picture size write to, allocated once.
pub struct Workspace {
    size: Size,
    padding: Padding,
    layers: Vec<Layer>,
    picture: Padded,
    relay: Relay,
    threads: Vec<winograd::Scratch>,
    first_threads: Vec<first::Scratch>,
}

/// The two buffers that values pass through from layer to layer.
#[derive(Default)]
struct Relay {
    /// Activations on the way up, gradients on the way down.
    passing: Aligned,
    /// Where the next of these is written.
    spare: Aligned,
    turned: bool,
}

impl Relay {
    /// What was written becomes what is read.
    fn hand_on(&mut self) {
        std::mem::swap(&mut self.passing, &mut self.spare);
        self.turned = !self.turned;
    }

    /// Back to where the first evaluation began: then each buffer sees the same sizes every time, and grows once.
    fn rewind(&mut self) {
        if self.turned {
            self.hand_on();
        }
    }
}

/// One convolution's output in a [`Workspace`].
struct Layer {
    tap: Tap,
    channels: usize,
    size: Size,
    /// Whether a pool follows, so that the next layer works at half the size.
    pooled: bool,
    /// The activations, where this is a tap.
    kept: Option<Aligned>,
    /// See [`Masked::passed`] and [`Unpooled::passed`].
    passed: Vec<u16>,
}

impl Layer {
    fn len(&self) -> usize {
        self.channels * self.size.pixels()
    }

    fn pooled_len(&self) -> usize {
        self.channels * self.size.pooled().pixels()
    }
}

impl Trunk {
    /// Prepares `backbone` up to `deepest`.
    ///
    /// # Errors
    /// When the backbone ends before `deepest`.
    pub fn new(backbone: &Backbone, deepest: Tap, pool: Pool, isa: Isa) -> Result<Self, String> {
        let convs = backbone.kernels(deepest)?;
        let (colours, rest) = convs.split_first().ok_or("a trunk needs a convolution")?;
        let first = First::new(colours.bias.clone(), |o, i, y, x| colours.at(o, i, y, x));
        let deeper = rest
            .iter()
            .map(|kernel| Frozen {
                forward: Winograd::new(kernel.outputs, kernel.inputs, |o, i, y, x| kernel.at(o, i, y, x)),
                backward: Winograd::new(kernel.inputs, kernel.outputs, |o, i, y, x| kernel.at(i, o, 2 - y, 2 - x)),
                bias: kernel.bias.clone(),
            })
            .collect();
        Ok(Self { isa, pool, first, deeper })
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Channels of the layer `index`, 0 for conv1_1.
    fn channels(&self, index: usize) -> usize {
        match index {
            0 => self.first.outputs(),
            _ => self.deeper[index - 1].bias.len(),
        }
    }

    /// BatchLimit for pictures of `size`, both sides at least [`MIN_SIDE`](crate::nst::layers::MIN_SIDE), keeping the activations of `taps`.
    ///
    /// Under [`Padding::Wrap`] a plane wraps where its pools end, so sides should be multiples of `MIN_SIDE`.
    pub fn workspace(&self, size: Size, padding: Padding, taps: &[Tap]) -> Workspace {
        let deepest = taps.iter().copied().max();
        let mut layers: Vec<Layer> = Vec::new();
        let mut here = size;
        for tap in Tap::all().take_while(|&tap| Some(tap) <= deepest) {
            if tap.opens_block()
                && let Some(before) = layers.last_mut()
            {
                before.pooled = true;
                here = here.pooled();
            }
            let channels = self.channels(tap.index());
            let len = channels * here.pixels();
            layers.push(Layer {
                tap,
                channels,
                size: here,
                pooled: false,
                kept: taps.contains(&tap).then(|| Aligned::zeros(len)),
                passed: vec![0; len / LANES],
            });
        }
        let threads = rayon::current_num_threads();
        Workspace {
            size,
            padding,
            layers,
            picture: Padded::new(size),
            relay: Relay::default(),
            threads: (0..threads).map(|_| Default::default()).collect(),
            first_threads: (0..threads).map(|_| Default::default()).collect(),
        }
    }

    /// Runs the network over `pixels`, `[height][width][3]` RGB in 0..1.
    pub fn forward(&self, space: &mut Workspace, pixels: &[f32]) {
        let &mut Workspace { padding, ref mut layers, ref mut picture, ref mut relay, ref mut threads, .. } = space;
        relay.rewind();
        picture.fill(pixels, padding, |colour, value| (value - MEAN[colour]) / STD[colour]);
        for index in 0..layers.len() {
            let (below, above) = layers.split_at_mut(index);
            let layer = &mut above[0];
            let (len, pooled_len) = (layer.len(), layer.pooled_len());
            let passes_on = layer.pooled || layer.kept.is_none();
            let (full, pooled) = match (&mut layer.kept, layer.pooled) {
                (Some(kept), false) => (Some(&mut kept[..]), None),
                (Some(kept), true) => (Some(&mut kept[..]), Some(sized(&mut relay.spare, pooled_len))),
                (None, false) => (Some(sized(&mut relay.spare, len)), None),
                (None, true) => (None, Some(sized(&mut relay.spare, pooled_len))),
            };
            match (below.last(), full) {
                (Some(below), full) => {
                    let conv = &self.deeper[index - 1];
                    let data = match &below.kept {
                        Some(kept) if !below.pooled => kept,
                        _ => &*relay.passing,
                    };
                    let sink = Activate {
                        bias: &conv.bias,
                        full: full.map(Shared::new),
                        pooled: pooled.map(|pooled| (Shared::new(pooled), self.pool)),
                        passed: Shared::new(&mut layer.passed),
                        size: layer.size,
                    };
                    let source = Edged { source: Plain { data, size: layer.size }, padding };
                    conv.forward.run(self.isa, threads, layer.size, source, sink);
                }
                (None, Some(full)) => self.first.forward(self.isa, picture, full, &mut layer.passed),
                (None, None) => unreachable!("no pool follows conv1_1"),
            }
            if passes_on {
                relay.hand_on();
            }
        }
    }

    /// Takes the gradient back to the pixels that [`Trunk::forward`] saw last.
    ///
    /// Once per forward pass: the way back uses up what that left.
    ///
    /// `tap_gradient(tap, features, gradient)` is called for each tap from the deepest up and adds the loss's own
    /// gradient with respect to that tap's features to `gradient`, both blocked. `out` is `[height][width][3]`.
    pub fn backward(
        &self,
        space: &mut Workspace,
        mut tap_gradient: impl FnMut(Tap, &[f32], &mut [f32]),
        out: &mut [f32],
    ) {
        let &mut Workspace {
            padding,
            ref mut layers,
            ref mut picture,
            ref mut relay,
            ref mut threads,
            ref mut first_threads,
            ..
        } = space;
        // From here on `passing` holds the gradient with respect to what the layer above reads.
        if let Some(deepest) = layers.last() {
            sized(&mut relay.passing, deepest.len()).fill(0.0);
        }
        for index in (0..layers.len()).rev() {
            let (below, above) = layers.split_at_mut(index);
            let layer = &mut above[0];
            let (size, len) = (layer.size, layer.len());
            if let Some(kept) = &layer.kept {
                if layer.pooled {
                    let source = Unpooled { gradient: &relay.passing, passed: &layer.passed, size, pool: self.pool };
                    self.isa.run(Gather { source, channels: layer.channels, size, out: sized(&mut relay.spare, len) });
                    relay.hand_on();
                    // The tap's own gradient passes wherever the ReLU did, not only where the pool took its value.
                    self.isa.run(Positive { features: kept, passed: &mut layer.passed });
                }
                tap_gradient(layer.tap, kept, &mut relay.passing[..len]);
            }
            let masked = Masked { gradient: &relay.passing, passed: &layer.passed, size };
            let Some(below) = below.last() else {
                // The picture was divided by STD on its way in.
                let scale = STD.map(|std| 1.0 / std);
                self.first.backward(self.isa, first_threads, masked, (&mut *picture, padding), scale, out);
                continue;
            };
            let conv = &self.deeper[index - 1].backward;
            let room = if padding == Padding::Replicate { size.grown() } else { size };
            let spare = sized(&mut relay.spare, below.channels * room.pixels());
            if layer.pooled && layer.kept.is_none() {
                let source = Unpooled { gradient: &relay.passing, passed: &layer.passed, size, pool: self.pool };
                back_through(conv, self.isa, threads, source, padding, size, spare);
            } else {
                back_through(conv, self.isa, threads, masked, padding, size, spare);
            }
            relay.hand_on();
        }
    }
}

impl Workspace {
    pub fn size(&self) -> Size {
        self.size
    }

    pub fn padding(&self) -> Padding {
        self.padding
    }

    pub fn set_padding(&mut self, padding: Padding) {
        self.padding = padding;
    }

    /// The features of `tap` from the last forward pass, blocked, and its channels and size; `None` for other layers.
    pub fn features(&self, tap: Tap) -> Option<(&[f32], usize, Size)> {
        let layer = self.layers.get(tap.index())?;
        Some((layer.kept.as_deref()?, layer.channels, layer.size))
    }
}

/// The first `len` values, the buffer grown if it never was that long.
fn sized(buffer: &mut Aligned, len: usize) -> &mut [f32] {
    buffer.grow(len);
    &mut buffer[..len]
}

/// Marks which values are above 0.
struct Positive<'a> {
    features: &'a [f32],
    passed: &'a mut [u16],
}

impl Kernel for Positive<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (features, passed) in self.features.chunks_exact(LANES).zip(self.passed) {
            // SAFETY: sixteen floats.
            *passed = unsafe { L::load(features.as_ptr()) }.positive();
        }
    }
}

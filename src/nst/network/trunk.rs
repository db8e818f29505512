//! Forward and backward through the frozen VGG19 on the CPU's kernels, written out by hand for a straight chain.
//!
//! The forward pass keeps the activations of the taps and one bit per value of all layers: whether a gradient passes.
//! The way back through frozen convolutions, ReLUs and pools needs no more.

use crate::nst::kernels::aligned::Aligned;
use crate::nst::kernels::conv::adjoint::back_through;
use crate::nst::kernels::conv::first::{self, First, Padded};
use crate::nst::kernels::conv::sink::Activate;
use crate::nst::kernels::conv::source::{Gather, Masked, Plain, Unpooled, WithPadding};
use crate::nst::kernels::conv::winograd::{self, Winograd};
use crate::nst::kernels::parallel::Shared;
use crate::nst::kernels::simd::{Isa, Kernel, LANES, Lanes};
use crate::nst::layers::{MEAN, Padding, Pool, STD, Tap};
use crate::nst::network::backbone::Backbone;
use crate::nst::picture::geometry::Size;

/// The network up to its deepest tap, with kernels prepared for the CPU.
pub struct Trunk {
    isa: Isa,
    pool: Pool,
    first: First,
    /// From conv1_2 on.
    deeper: Vec<Conv>,
}

/// A convolution of sixteen or more channels.
struct Conv {
    forward: Winograd,
    backward: Winograd,
    bias: Vec<f32>,
}

/// The memory of evaluations of one picture size, allocated once.
pub struct Workspace {
    size: Size,
    padding: Padding,
    layers: Vec<Layer>,
    picture: Padded,
    buffers: PingPong,
    threads: Vec<winograd::Scratch>,
    first_threads: Vec<first::Scratch>,
}

/// Two buffers for the values between layers: each layer reads one and writes the other.
#[derive(Default)]
struct PingPong {
    /// What the next layer reads: activations on the way up, gradients on the way down.
    input: Aligned,
    /// What it writes.
    output: Aligned,
    swapped: bool,
}

impl PingPong {
    /// The last output becomes the next input.
    fn swap(&mut self) {
        std::mem::swap(&mut self.input, &mut self.output);
        self.swapped = !self.swapped;
    }

    /// Restores the order of the first evaluation, so that each buffer gets the same sizes every time and grows once.
    fn rewind(&mut self) {
        if self.swapped {
            self.swap();
        }
    }
}

/// The output of one convolution in a [`Workspace`].
struct Layer {
    tap: Tap,
    channels: usize,
    size: Size,
    /// Whether a pool follows, so that the next layer works at half the size.
    pooled: bool,
    /// The activations, if this is a tap.
    features: Option<Aligned>,
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
            .map(|kernel| Conv {
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

    /// Channels of the layer with this index, 0 for conv1_1.
    fn channels(&self, index: usize) -> usize {
        match index {
            0 => self.first.outputs(),
            _ => self.deeper[index - 1].bias.len(),
        }
    }

    /// Allocates the memory for pictures of `size`, both sides at least [`MIN_SIDE`](crate::nst::layers::MIN_SIDE),
    /// which keeps the activations of `taps`.
    ///
    /// Under [`Padding::Wrap`] sides should be multiples of `MIN_SIDE`: pools drop an odd last row or column, and
    /// deeper planes wrap without it.
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
                features: taps.contains(&tap).then(|| Aligned::zeros(len)),
                passed: vec![0; len / LANES],
            });
        }
        let threads = rayon::current_num_threads();
        Workspace {
            size,
            padding,
            layers,
            picture: Padded::new(size),
            buffers: PingPong::default(),
            threads: (0..threads).map(|_| Default::default()).collect(),
            first_threads: (0..threads).map(|_| Default::default()).collect(),
        }
    }

    /// Runs the network over `pixels`, `[height][width][3]` RGB in 0..1.
    pub fn forward(&self, space: &mut Workspace, pixels: &[f32]) {
        space.buffers.rewind();
        space.picture.fill(pixels, space.padding, |colour, value| (value - MEAN[colour]) / STD[colour]);
        for index in 0..space.layers.len() {
            self.forward_layer(space, index);
        }
    }

    fn forward_layer(&self, space: &mut Workspace, index: usize) {
        let &mut Workspace { padding, ref mut layers, ref picture, ref mut buffers, ref mut threads, .. } = space;
        let (below, above) = layers.split_at_mut(index);
        let layer = &mut above[0];
        let (len, pooled_len) = (layer.len(), layer.pooled_len());
        let swaps = layer.pooled || layer.features.is_none();
        let (full, pooled) = match (&mut layer.features, layer.pooled) {
            (Some(features), false) => (Some(&mut features[..]), None),
            (Some(features), true) => (Some(&mut features[..]), Some(sized(&mut buffers.output, pooled_len))),
            (None, false) => (Some(sized(&mut buffers.output, len)), None),
            (None, true) => (None, Some(sized(&mut buffers.output, pooled_len))),
        };
        match (below.last(), full) {
            (Some(below), full) => {
                let conv = &self.deeper[index - 1];
                let data = match &below.features {
                    Some(features) if !below.pooled => features,
                    _ => &*buffers.input,
                };
                let sink = Activate {
                    bias: &conv.bias,
                    full: full.map(Shared::new),
                    pooled: pooled.map(|pooled| (Shared::new(pooled), self.pool)),
                    passed: Shared::new(&mut layer.passed),
                    size: layer.size,
                };
                let source = WithPadding { source: Plain { data, size: layer.size }, padding };
                conv.forward.run(self.isa, threads, layer.size, source, sink);
            }
            (None, Some(full)) => self.first.forward(self.isa, picture, full, &mut layer.passed),
            (None, None) => unreachable!("no pool follows conv1_1"),
        }
        if swaps {
            buffers.swap();
        }
    }

    /// Takes the gradient back to the pixels of the last [`Trunk::forward`]. May be called once after each, since it
    /// uses up what the forward pass left.
    ///
    /// `tap_gradient(tap, features, gradient)` is called for each tap, the deepest first. It adds the gradient of the
    /// loss with respect to the features of that tap to `gradient`; both are blocked. `out` is `[height][width][3]`.
    pub fn backward(
        &self,
        space: &mut Workspace,
        mut tap_gradient: impl FnMut(Tap, &[f32], &mut [f32]),
        out: &mut [f32],
    ) {
        // From here on the input of each step is the gradient with respect to what the layer above reads.
        if let Some(deepest) = space.layers.last() {
            sized(&mut space.buffers.input, deepest.len()).fill(0.0);
        }
        for index in (0..space.layers.len()).rev() {
            self.add_tap_gradient(space, index, &mut tap_gradient);
            if index > 0 {
                self.backward_layer(space, index);
            } else {
                self.backward_first(space, out);
            }
        }
    }

    /// Where the layer is a tap, takes the gradient back through its pool and adds that of the tap itself.
    fn add_tap_gradient(
        &self,
        space: &mut Workspace,
        index: usize,
        tap_gradient: &mut impl FnMut(Tap, &[f32], &mut [f32]),
    ) {
        let Workspace { layers, buffers, .. } = space;
        let layer = &mut layers[index];
        let (size, len) = (layer.size, layer.len());
        let Some(features) = &layer.features else { return };
        if layer.pooled {
            let source = Unpooled { gradient: &buffers.input, passed: &layer.passed, size, pool: self.pool };
            let out = sized(&mut buffers.output, len);
            self.isa.run(Gather { source, channels: layer.channels, size, out });
            buffers.swap();
            // The gradient of the tap itself passes wherever the ReLU does, not only where the pool took its value.
            self.isa.run(Positive { features, passed: &mut layer.passed });
        }
        tap_gradient(layer.tap, features, &mut buffers.input[..len]);
    }

    /// From the gradient with respect to the activations of a layer, or to their pool, to that of the layer below.
    fn backward_layer(&self, space: &mut Workspace, index: usize) {
        let &mut Workspace { padding, ref layers, ref mut buffers, ref mut threads, .. } = space;
        let (layer, below) = (&layers[index], &layers[index - 1]);
        let (size, conv) = (layer.size, &self.deeper[index - 1].backward);
        let written = if padding == Padding::Replicate { size.grown() } else { size };
        let out = sized(&mut buffers.output, below.channels * written.pixels());
        let (gradient, passed) = (&buffers.input[..], &layer.passed[..]);
        if layer.pooled && layer.features.is_none() {
            let source = Unpooled { gradient, passed, size, pool: self.pool };
            back_through(conv, self.isa, threads, source, (size, padding), out);
        } else {
            let source = Masked { gradient, passed, size };
            back_through(conv, self.isa, threads, source, (size, padding), out);
        }
        buffers.swap();
    }

    /// From the gradient with respect to the activations of conv1_1 to that with respect to the pixels.
    fn backward_first(&self, space: &mut Workspace, out: &mut [f32]) {
        let &mut Workspace { padding, ref layers, ref mut picture, ref buffers, ref mut first_threads, .. } = space;
        let source = Masked { gradient: &buffers.input, passed: &layers[0].passed, size: layers[0].size };
        // The pixels were divided by STD on their way in.
        let scale = STD.map(|std| 1.0 / std);
        self.first.backward(self.isa, first_threads, source, (picture, padding), scale, out);
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

    /// The features of `tap` from the last forward pass, blocked, with its channels and size; `None` if it is not kept.
    pub fn features(&self, tap: Tap) -> Option<(&[f32], usize, Size)> {
        let layer = self.layers.get(tap.index())?;
        Some((layer.features.as_deref()?, layer.channels, layer.size))
    }
}

/// The first `len` values of `buffer`, which grows if it is shorter.
fn sized(buffer: &mut Aligned, len: usize) -> &mut [f32] {
    buffer.grow(len);
    &mut buffer[..len]
}

/// Sets the bits of `passed` where features are above 0.
struct Positive<'a> {
    features: &'a [f32],
    passed: &'a mut [u16],
}

impl Kernel for Positive<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (features, passed) in self.features.chunks_exact(LANES).zip(self.passed) {
            // SAFETY: a chunk is sixteen floats.
            *passed = unsafe { L::load(features.as_ptr()) }.positive();
        }
    }
}

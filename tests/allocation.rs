//! An evaluation works in buffers that were allocated before. After the first, it allocates almost nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use augment::nst::kernels::simd::Isa;
use augment::nst::layers::Pool;
use augment::nst::loss;
use augment::nst::loss::Guides;
use augment::nst::loss::slices::CpuEvaluator;
use augment::nst::network::backbone::Backbone;
use augment::nst::network::trunk::Trunk;
use augment::nst::picture::geometry::Size;
use augment::nst::scene::regions::Regions;
use augment::nst::settings::Settings;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with a count of the bytes that it allocates.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator unchanged, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`, and the block came from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size, Ordering::Relaxed);
        // SAFETY: as in `alloc`, and the block came from the system's allocator.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_evaluation_after_the_first_allocates_no_buffer() {
    let settings = Settings::default();
    let deepest = loss::deepest_tap(&settings).unwrap();
    let backbone = Backbone::builtin(deepest).unwrap();
    let trunk = Trunk::new(&backbone, deepest, Pool::Max, Isa::available()[0]).unwrap();
    let size = Size { height: 96, width: 128 };
    let mut evaluator = CpuEvaluator::new(&trunk, &settings, size);
    let pixels: Vec<f32> = (0..size.pixels() * 3).map(|n| (n % 97) as f32 / 97.0).collect();
    let guides = Guides::new(&Regions::whole(size));
    let style = evaluator.style_target(&vec![0.5; pixels.len()], &guides);
    let mut objective = evaluator.objective(&pixels, &style, guides);
    let mut gradient = vec![0.0; pixels.len()];
    objective.evaluate(&pixels, &mut gradient);
    let before = BYTES.load(Ordering::Relaxed);
    let again = objective.evaluate(&pixels, &mut gradient);
    let allocated = BYTES.load(Ordering::Relaxed) - before;
    assert!(again.total > 0.0);
    // Partial sums, and what the thread pool needs. A single row of the features would be 16 KB.
    assert!(allocated < 32 * 1024, "{allocated} bytes");
}

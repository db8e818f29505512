#!/usr/bin/env python3
"""Makes tests/corpus: odd and broken image files, and a table of the expected result for each.

    pip install numpy pillow
    python3 scripts/make_corpus.py [--out tests/corpus]

Every file that can be read shows the same four quadrants. So a wrong orientation, plane or palette changes their mean
colours. The table `expected.tsv` has a line for each file: `picture`, width, height and the mean colours of the
quadrants from left to right and top to bottom; or `fails` and words of the error. This script knows both, and does not
ask the program. The same versions of the libraries write the same bytes.
"""

import argparse
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 64, 32
RED, GREEN, BLUE, SAND = (200, 40, 30), (40, 170, 60), (30, 50, 190), (220, 200, 120)
JPEG_CUT = "cut short"
UNREADABLE = "cannot be decoded"
FOREIGN = "not jpeg, png, webp, bmp or tiff"


def quadrants(width=WIDTH, height=HEIGHT, colours=(RED, GREEN, BLUE, SAND), grain=6):
    """Four colours with some grain, so that every coder has detail to store."""
    y, x = np.mgrid[:height, :width]
    which = (y >= (height + 1) // 2) * 2 + (x >= (width + 1) // 2)
    noise = (x * 7919 + y * 104729) % (2 * grain + 1) - grain
    return np.clip(np.array(colours)[which] + noise[..., None], 0, 255).astype(np.uint8)


def means(pixels):
    """Mean colours of the quadrants. `-` is a quadrant without pixels, in a picture one pixel wide or high."""
    pixels = np.atleast_3d(pixels)
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    y, x = (pixels.shape[0] + 1) // 2, (pixels.shape[1] + 1) // 2
    parts = [pixels[:y, :x], pixels[:y, x:], pixels[y:, :x], pixels[y:, x:]]
    return ["-" if part.size == 0 else ",".join(str(round(v)) for v in part.mean(axis=(0, 1))) for part in parts]


def luma(pixels):
    return (pixels @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)


class Corpus:
    def __init__(self, folder):
        self.folder, self.lines = folder, []

    def add(self, name, data, line):
        assert not (self.folder / name).exists(), name
        (self.folder / name).write_bytes(data)
        self.lines.append(f"{name}\t{line}")

    def picture(self, name, data, pixels):
        height, width = pixels.shape[:2]
        self.add(name, data, f"picture {width} {height}\t{' '.join(means(pixels))}")

    def fails(self, name, data, words):
        self.add(name, data, f"fails\t{words}")


def encode(pixels, kind, mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image = image.convert(mode) if mode else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# JPEG


def segment(code, data):
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def after_start(jpeg, *segments):
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif(orientation, endian="<", kind=3):
    order = b"II*\0" if endian == "<" else b"MM\0*"
    value = struct.pack(endian + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    return order + struct.pack(endian + "IHHHI", 8, 1, 0x0112, kind, 1) + value + bytes(4)


def segments(jpeg):
    """The position and code of every marker up to the start of the scan."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        yield at, jpeg[at + 1]
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    yield at, 0xDA


def place_of(jpeg, *codes):
    return next(at for at, code in segments(jpeg) if code in codes)


def with_size(jpeg, width, height):
    at = place_of(jpeg, 0xC0, 0xC2)
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def with_frame(jpeg, code, depth=8):
    at = place_of(jpeg, 0xC0, 0xC2)
    return jpeg[: at + 1] + bytes([code]) + jpeg[at + 2 : at + 4] + bytes([depth]) + jpeg[at + 5 :]


def without(jpeg, wanted):
    at = place_of(jpeg, wanted)
    length = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return jpeg[:at] + jpeg[at + 2 + length :]


def without_late(scans):
    """The scans of a progressive JPEG without the Huffman tables between them."""
    while (at := scans.find(b"\xff\xc4")) >= 0:
        scans = scans[:at] + scans[at + 2 + struct.unpack(">H", scans[at + 2 : at + 4])[0] :]
    return scans


def without_all(jpeg, wanted):
    while any(code == wanted for _, code in segments(jpeg)):
        jpeg = without(jpeg, wanted)
    return jpeg


def turned(pixels, orientation):
    """The stored pixels as a viewer shows them under an EXIF orientation."""
    turn = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p),
    }
    return turn[orientation](pixels)


def of_cmyk(cmyk):
    """RGB from inks where 255 is no ink, as in most JPEGs; OpenCV always reads them so."""
    inks = cmyk.astype(int)
    return (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)


def jpegs(corpus, rgb):
    plain = encode(rgb, "JPEG", quality=90)
    progressive = encode(rgb, "JPEG", quality=90, progressive=True)
    corpus.picture("jpeg_420.jpg", encode(rgb, "JPEG", quality=90, subsampling=2), rgb)
    corpus.picture("jpeg_422.jpg", encode(rgb, "JPEG", quality=90, subsampling=1), rgb)
    corpus.picture("jpeg_444.jpg", encode(rgb, "JPEG", quality=90, subsampling=0), rgb)
    corpus.picture("jpeg_rgb_kept.jpg", encode(rgb, "JPEG", quality=90, keep_rgb=True), rgb)
    corpus.picture("jpeg_progressive.jpg", progressive, rgb)
    corpus.picture("jpeg_grey.jpg", encode(luma(rgb), "JPEG", quality=90), luma(rgb)[..., None])
    corpus.picture("jpeg_restarts.jpg", encode(rgb, "JPEG", quality=90, restart_marker_blocks=2), rgb)
    corpus.picture("jpeg_low_quality.jpg", encode(rgb, "JPEG", quality=30), rgb)

    inks = np.concatenate([rgb, np.full_like(rgb[..., :1], 230)], axis=2)
    # With Adobe's marker, Pillow inverts the inks of CMYK.
    adobe = encode(Image.fromarray(255 - inks, "CMYK"), "JPEG", quality=95, subsampling=0)
    corpus.picture("jpeg_cmyk_adobe.jpg", adobe, of_cmyk(inks))
    corpus.picture("jpeg_cmyk_bare.jpg", without(adobe, 0xEE), of_cmyk(inks))
    ycc = np.array(Image.fromarray(255 - rgb).convert("YCbCr"))
    ycck = encode(Image.fromarray(255 - np.concatenate([ycc, inks[..., 3:]], axis=2), "CMYK"), "JPEG", quality=95)
    at = place_of(ycck, 0xEE)
    corpus.picture("jpeg_ycck.jpg", ycck[: at + 15] + b"\2" + ycck[at + 16 :], of_cmyk(inks))

    for orientation in range(1, 9):
        tag = b"Exif\0\0" + exif(orientation, "<>"[orientation % 2])
        corpus.picture(f"jpeg_exif_{orientation}.jpg", after_start(plain, segment(0xE1, tag)), turned(rgb, orientation))
    for orientation in [0, 9, 65535]:
        tag = b"Exif\0\0" + exif(orientation)
        corpus.picture(f"jpeg_exif_{orientation}.jpg", after_start(plain, segment(0xE1, tag)), rgb)
    whole = b"Exif\0\0" + exif(6)
    corpus.picture("jpeg_exif_cut.jpg", after_start(plain, segment(0xE1, whole[:20])), rgb)
    corpus.picture("jpeg_exif_noise.jpg", after_start(plain, segment(0xE1, b"Exif\0\0" + bytes(range(60)))), rgb)
    far = b"Exif\0\0II*\0" + struct.pack("<I", 0xFFFFFFF0)
    corpus.picture("jpeg_exif_far_directory.jpg", after_start(plain, segment(0xE1, far)), rgb)
    corpus.picture("jpeg_exif_empty.jpg", after_start(plain, segment(0xE1, b"Exif\0\0")), rgb)

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    corpus.picture("jpeg_profile.jpg", encode(rgb, "JPEG", quality=90, icc_profile=srgb), rgb)
    corpus.picture("jpeg_profile_cut.jpg", encode(rgb, "JPEG", quality=90, icc_profile=srgb[:200]), rgb)
    corpus.picture("png_profile.png", encode(rgb, "PNG", icc_profile=srgb), rgb)
    corpus.picture("webp_profile.webp", encode(rgb, "WEBP", lossless=True, icc_profile=srgb), rgb)
    corpus.picture("tiff_profile.tif", encode(rgb, "TIFF", icc_profile=srgb), rgb)
    corpus.picture("jpeg_profile_of_grey.jpg", encode(rgb, "JPEG", quality=90, icc_profile=grey_profile(srgb)), rgb)

    corpus.picture("jpeg_junk_behind.jpg", plain + b"SEFT trailer of a phone" * 9, rgb)
    corpus.picture("jpeg_twice.jpg", plain + encode(255 - rgb, "JPEG"), rgb)
    corpus.picture("jpeg_thumbnail.jpg", after_start(plain, segment(0xE1, b"Exif\0\0" + exif(1) + plain)), rgb)
    corpus.picture("jpeg_fill_bytes.jpg", plain[:2] + b"\xff\xff\xff" + plain[2:], rgb)
    corpus.picture("jpeg_comment.jpg", after_start(plain, segment(0xFE, b"a comment " * 50)), rgb)

    # As the frames of Motion JPEG videos: the tables are those of the standard.
    corpus.picture("jpeg_without_huffman.jpg", without_all(plain, 0xC4), rgb)
    bare = without_all(encode(luma(rgb), "JPEG", quality=90), 0xC4)
    corpus.picture("jpeg_grey_without_huffman.jpg", bare, luma(rgb)[..., None])
    restarts = encode(rgb, "JPEG", quality=90, restart_marker_blocks=2, subsampling=1)
    video = segment(0xE0, b"AVI1" + bytes(10))
    corpus.picture("jpeg_motion.jpg", after_start(without_all(without_all(restarts, 0xC4), 0xE0), video), rgb)
    corpus.picture("jpeg_half_huffman.jpg", without(plain, 0xC4), rgb)
    corpus.fails("jpeg_progressive_without_huffman.jpg", without_all(progressive, 0xC4), "Huffman tables")
    late = progressive[: progressive.index(b"\xff\xda") + 2]
    rest = progressive[len(late) :]
    corpus.fails("jpeg_progressive_without_late_huffman.jpg", late + without_late(rest), "Huffman tables")
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    stereo = encode(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=90)
    corpus.picture("mpo_stereo.mpo", stereo, rgb)
    corpus.picture("mpo_of_one.MPO", plain, rgb)
    corpus.picture("jpeg_that_is_mpo.jpg", stereo, rgb)

    corpus.fails("jpeg_marker_alone.jpg", plain[:2], FOREIGN)
    corpus.fails("jpeg_cut_in_header.jpg", plain[:100], UNREADABLE)
    corpus.fails("jpeg_cut_before_scan.jpg", plain[: place_of(plain, 0xDA)], UNREADABLE)
    corpus.fails("jpeg_cut_in_scan.jpg", plain[: len(plain) * 3 // 4], JPEG_CUT)
    corpus.fails("jpeg_cut_end_marker.jpg", plain[:-2], JPEG_CUT)
    corpus.fails("jpeg_cut_filled_with_zeros.jpg", plain[:-300] + bytes(300), JPEG_CUT)
    corpus.fails("jpeg_progressive_cut.jpg", progressive[: len(progressive) // 2], JPEG_CUT)
    corpus.fails("jpeg_thumbnail_cut.jpg", after_start(plain, segment(0xE1, plain))[:-60], JPEG_CUT)
    corpus.fails("jpeg_12_bit.jpg", with_frame(plain, 0xC1, 12), UNREADABLE)
    corpus.fails("jpeg_arithmetic.jpg", with_frame(plain, 0xC9), UNREADABLE)
    corpus.fails("jpeg_lossless.jpg", with_frame(plain, 0xC3), UNREADABLE)
    corpus.fails("jpeg_without_tables.jpg", without(plain, 0xDB), UNREADABLE)
    corpus.fails("jpeg_0x0.jpg", with_size(plain, 0, 0), UNREADABLE)
    corpus.fails("jpeg_claims_60000x60000.jpg", with_size(plain, 60000, 60000), "larger than 16384")
    corpus.fails("jpeg_claims_11000x11000.jpg", with_size(plain, 11000, 11000), "too short for its size")
    corpus.fails("jpeg_progressive_claims_9000x9000.jpg", with_size(progressive, 9000, 9000), "too short for its size")


def grey_profile(srgb):
    return srgb[:16] + b"GRAY" + srgb[20:]


# PNG


def chunk(name, data, crc=None):
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(width, height, depth, colour, rows, *extra, interlace=0, level=9):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    data = zlib.compress(rows, level)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rows_of(samples, depth=8):
    """Each row: the byte 0 (no filter) and the packed samples."""
    samples = samples.reshape(samples.shape[0], -1)
    if depth == 16:
        packed = samples.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = samples.astype(np.uint8)
    else:
        bits = samples[..., None] >> np.arange(depth - 1, -1, -1) & 1
        packed = np.packbits(bits.reshape(samples.shape[0], -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def interlaced_rows(pixels):
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    return b"".join(rows_of(pixels[y::dy, x::dx]) for y, x, dy, dx in passes if pixels[y::dy, x::dx].size)


def with_broken_crc(data, name):
    at = data.index(name)
    end = at + 4 + struct.unpack(">I", data[at - 4 : at])[0]
    return data[:end] + bytes(v ^ 0x55 for v in data[end : end + 4]) + data[end + 4 :]


def pngs(corpus, rgb):
    plain = png(WIDTH, HEIGHT, 8, 2, rows_of(rgb))
    index = np.array(quadrants(colours=[(n,) * 3 for n in range(4)], grain=0))[..., 0].astype(int)
    palette = np.array([RED, GREEN, BLUE, SAND], np.uint8)
    table = chunk(b"PLTE", palette.tobytes())
    grey = luma(rgb)
    corpus.picture("png_rgb.png", plain, rgb)
    corpus.picture("png_16_bit.png", png(WIDTH, HEIGHT, 16, 2, rows_of(rgb.astype(int) * 257, 16)), rgb)
    corpus.picture("png_grey.png", png(WIDTH, HEIGHT, 8, 0, rows_of(grey)), grey)
    corpus.picture("png_grey_16_bit.png", png(WIDTH, HEIGHT, 16, 0, rows_of(grey.astype(int) * 257, 16)), grey)
    key = chunk(b"tRNS", struct.pack(">H", int(grey[0, 0]) * 257))
    keyed = png(WIDTH, HEIGHT, 16, 0, rows_of(grey.astype(int) * 257, 16), key)
    corpus.picture("png_grey_16_bit_with_trns.png", keyed, grey)
    for depth in [1, 2, 4]:
        levels = (grey >> (8 - depth)).astype(int)
        shown = (levels * 255 // (2**depth - 1)).astype(np.uint8)
        corpus.picture(f"png_grey_{depth}_bit.png", png(WIDTH, HEIGHT, depth, 0, rows_of(levels, depth)), shown)
    two = chunk(b"PLTE", palette[:2].tobytes())
    corpus.picture("png_palette_1_bit.png", png(WIDTH, HEIGHT, 1, 3, rows_of(index % 2, 1), two), palette[index % 2])
    for depth in [2, 4, 8]:
        data = png(WIDTH, HEIGHT, depth, 3, rows_of(index, depth), table)
        corpus.picture(f"png_palette_{depth}_bit.png", data, palette[index])
    clear = chunk(b"tRNS", bytes([0, 128]))
    data = png(WIDTH, HEIGHT, 2, 3, rows_of(index, 2), table, clear)
    corpus.picture("png_palette_with_trns.png", data, palette[index])
    rgba = np.dstack([rgb, np.zeros_like(grey)])
    corpus.picture("png_alpha.png", png(WIDTH, HEIGHT, 8, 6, rows_of(rgba)), rgb)
    corpus.picture("png_grey_alpha.png", png(WIDTH, HEIGHT, 8, 4, rows_of(np.dstack([grey, grey]))), grey)
    corpus.picture("png_interlaced.png", png(WIDTH, HEIGHT, 8, 2, interlaced_rows(rgb), interlace=1), rgb)
    corpus.picture("png_exif_6.png", png(WIDTH, HEIGHT, 8, 2, rows_of(rgb), chunk(b"eXIf", exif(6))), turned(rgb, 6))
    corpus.picture("png_exif_damaged.png", png(WIDTH, HEIGHT, 8, 2, rows_of(rgb), chunk(b"eXIf", b"MM")), rgb)
    corpus.picture("png_gamma.png", png(WIDTH, HEIGHT, 8, 2, rows_of(rgb), chunk(b"gAMA", struct.pack(">I", 9**5))), rgb)
    corpus.picture("png_junk_behind.png", plain + b"junk" * 20, rgb)
    corpus.picture("png_ancillary_crc.png", with_broken_crc(
        png(WIDTH, HEIGHT, 8, 2, rows_of(rgb), chunk(b"tEXt", b"Title\0corpus")), b"tEXt"), rgb)
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    animated = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    corpus.picture("png_animated.png", animated, rgb)
    bomb = chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(20_000_000), 9))
    corpus.picture("png_profile_bomb.png", png(WIDTH, HEIGHT, 8, 2, rows_of(rgb), bomb), rgb)

    corpus.fails("png_signature_alone.png", plain[:8], UNREADABLE)
    corpus.fails("png_cut_in_header.png", plain[:20], UNREADABLE)
    corpus.fails("png_cut_in_data.png", plain[: len(plain) // 2], UNREADABLE)
    corpus.fails("png_header_crc.png", with_broken_crc(plain, b"IHDR"), UNREADABLE)
    corpus.fails("png_data_crc.png", with_broken_crc(plain, b"IDAT"), UNREADABLE)
    corpus.fails("png_palette_missing.png", png(WIDTH, HEIGHT, 8, 3, rows_of(index)), UNREADABLE)
    corpus.fails("png_0x0.png", png(0, 0, 8, 2, b""), UNREADABLE)
    corpus.fails("png_claims_16000x16000.png", png(16000, 16000, 8, 2, bytes(1000)), "134 megapixels")
    corpus.fails("png_claims_11000x11000.png", png(11000, 11000, 8, 2, bytes(1000)), UNREADABLE)
    corpus.fails("png_claims_100000x2.png", png(100_000, 2, 8, 2, bytes(1000)), "larger than 16384")
    zeros = png(16384, 16384, 1, 0, bytes(16384 * 2049))
    corpus.fails("png_zeros_of_16384x16384.png", zeros, "134 megapixels")


# TIFF


def big_tiff(entries, data, endian="<"):
    """The same with addresses of 64 bits. The data begin at byte 16."""
    kinds = {3: "H", 4: "I"}
    directory = 16 + len(data) + len(data) % 2
    behind = directory + 8 + 20 * len(entries) + 8
    table, far = b"", b""
    for tag, kind, values in sorted(entries):
        values = [16] if tag == 273 else values
        packed = struct.pack(endian + kinds[kind] * len(values), *values)
        if len(packed) > 8:
            value = struct.pack(endian + "Q", behind + len(far))
            far += packed
        else:
            value = packed.ljust(8, b"\0")
        table += struct.pack(endian + "HHQ", tag, kind, len(values)) + value
    order = b"II" if endian == "<" else b"MM"
    head = order + struct.pack(endian + "HHHQ", 43, 8, 0, directory) + data + b"\0" * (len(data) % 2)
    return head + struct.pack(endian + "Q", len(entries)) + table + struct.pack(endian + "Q", 0) + far


def tiff(entries, data, endian="<", next_directory=0):
    """A file of one directory. The data begin at byte 8, and the directory of (tag, type, values) follows them."""
    kinds = {1: "B", 3: "H", 4: "I"}
    sizes = {1: 1, 3: 2, 4: 4}
    directory = 8 + len(data) + len(data) % 2
    behind = directory + 2 + 12 * len(entries) + 4
    table, far = b"", b""
    for tag, kind, values in sorted(entries):
        packed = struct.pack(endian + kinds[kind] * len(values), *values)
        if len(packed) > 4:
            value = struct.pack(endian + "I", behind + len(far))
            far += packed + b"\0" * (len(packed) % 2)
        else:
            value = packed.ljust(4, b"\0")
        assert sizes[kind] * len(values) == len(packed)
        table += struct.pack(endian + "HHI", tag, kind, len(values)) + value
    order = b"II*\0" if endian == "<" else b"MM\0*"
    head = order + struct.pack(endian + "I", directory) + data + b"\0" * (len(data) % 2)
    return head + struct.pack(endian + "H", len(entries)) + table + struct.pack(endian + "I", next_directory) + far


def basic(width, height, samples=3, bits=8, photometric=2, compression=1):
    return [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [compression]),
        (262, 3, [photometric]), (277, 3, [samples]),
    ]  # fmt: skip


def in_one_strip(data, height):
    return [(273, 4, [8]), (278, 4, [height]), (279, 4, [len(data)])]


def tiffs(corpus, rgb):
    raw, grey = rgb.tobytes(), luma(rgb)
    plain = tiff(basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT), raw)
    corpus.picture("tiff_rgb.tif", plain, rgb)
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits"]:
        name = f"tiff_{compression.removeprefix('tiff_')}.tiff"
        corpus.picture(name, encode(rgb, "TIFF", compression=compression), rgb)
    corpus.picture("tiff_predictor.tif", encode(rgb, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}), rgb)
    corpus.picture("tiff_big_endian.tif", tiff(basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT), raw, ">"), rgb)
    # The last row and column of tiles reach beyond the picture.
    side, over = 48, np.pad(rgb, ((0, 48 - HEIGHT), (0, 96 - WIDTH), (0, 0)))
    tiles = b"".join(over[:, x : x + side].tobytes() for x in (0, side))
    places = [8, 8 + side * side * 3]
    entries = [(322, 3, [side]), (323, 3, [side]), (324, 4, places), (325, 4, [side * side * 3] * 2)]
    corpus.picture("tiff_tiles.tif", tiff(basic(WIDTH, HEIGHT) + entries, tiles), rgb)
    planes = rgb.transpose(2, 0, 1).tobytes()
    size = WIDTH * HEIGHT
    entries = [(273, 4, [8, 8 + size, 8 + 2 * size]), (278, 4, [HEIGHT]), (279, 4, [size] * 3), (284, 3, [2])]
    corpus.picture("tiff_planar.tif", tiff(basic(WIDTH, HEIGHT) + entries, planes), rgb)
    wide = (rgb.astype(">u2") * 257).tobytes()
    entries = basic(WIDTH, HEIGHT, bits=16) + in_one_strip(wide, HEIGHT)
    corpus.picture("tiff_16_bit_big_endian.tif", tiff(entries, wide, ">"), rgb)
    corpus.picture("tiff_grey.tif", encode(grey, "TIFF"), grey)
    entries = basic(WIDTH, HEIGHT, 1, photometric=0) + in_one_strip(grey.tobytes(), HEIGHT)
    corpus.picture("tiff_white_is_zero.tif", tiff(entries, grey.tobytes()), 255 - grey)
    light = grey > 127
    corpus.picture("tiff_1_bit.tif", encode(Image.fromarray(light), "TIFF"), light.astype(np.uint8) * 255)
    corpus.picture("tiff_1_bit_fax.tif", encode(Image.fromarray(light), "TIFF", compression="group4"),
                   light.astype(np.uint8) * 255)  # fmt: skip
    # OpenCV multiplies 8-bit colours with alpha that is declared as not multiplied yet, and no others.
    fade = np.tile(np.linspace(40, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    rgba, faded = np.dstack([rgb, fade]), (rgb * (fade[..., None] / 255)).round().astype(np.uint8)
    corpus.picture("tiff_alpha.tif", encode(rgba, "TIFF"), faded)
    for name, kind, shown in [("unspecified", 0, rgb), ("associated", 1, rgb), ("unassociated", 2, faded)]:
        entries = basic(WIDTH, HEIGHT, 4) + in_one_strip(rgba.tobytes(), HEIGHT) + [(338, 3, [kind])]
        corpus.picture(f"tiff_alpha_{kind}_{name}.tif", tiff(entries, rgba.tobytes()), shown)
    deep = rgba.astype("<u2") * 257
    entries = basic(WIDTH, HEIGHT, 4, 16) + in_one_strip(deep.tobytes(), HEIGHT) + [(338, 3, [2])]
    corpus.picture("tiff_alpha_16_bit.tif", tiff(entries, deep.tobytes()), rgb)
    pair = np.dstack([grey, fade]).tobytes()
    entries = basic(WIDTH, HEIGHT, 2, photometric=1) + in_one_strip(pair, HEIGHT) + [(338, 3, [2])]
    corpus.picture("tiff_alpha_of_grey.tif", tiff(entries, pair), grey)
    planes = rgba.transpose(2, 0, 1).tobytes()
    entries = [(273, 4, [8 + n * size for n in range(4)]), (278, 4, [HEIGHT]), (279, 4, [size] * 4), (284, 3, [2])]
    corpus.picture("tiff_alpha_planar.tif", tiff(basic(WIDTH, HEIGHT, 4) + entries + [(338, 3, [2])], planes), faded)
    palettes(corpus, rgb)
    floats(corpus, rgb)
    for name, endian in [("tiff_big.tif", "<"), ("tiff_big_big_endian.tif", ">")]:
        corpus.picture(name, big_tiff(basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT), raw, endian), rgb)
    entries = basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT) + [(274, 3, [6])]
    corpus.picture("tiff_big_orientation_6.tif", big_tiff(entries, raw), turned(rgb, 6))
    corpus.fails("tiff_big_cut.tif", big_tiff(basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT), raw)[:-90], UNREADABLE)
    ycc = np.array(Image.fromarray(rgb).convert("YCbCr"))
    entries = basic(WIDTH, HEIGHT, photometric=6) + in_one_strip(ycc.tobytes(), HEIGHT) + [(530, 3, [1, 1])]
    back = np.array(Image.fromarray(ycc, "YCbCr").convert("RGB"))
    corpus.picture("tiff_ycbcr.tif", tiff(entries, ycc.tobytes()), back)
    corpus.picture("tiff_ycbcr_lzw.tif", encode(Image.fromarray(ycc, "YCbCr"), "TIFF", compression="tiff_lzw",
                                                 tiffinfo={530: (1, 1)}), back)  # fmt: skip
    corpus.picture("tiff_jpeg.tif", encode(rgb, "TIFF", compression="jpeg", quality=95), rgb)
    corpus.picture("tiff_jpeg_grey.tif", encode(grey, "TIFF", compression="jpeg", quality=95), grey)
    inside = encode(rgb, "JPEG", quality=95)
    entries = basic(WIDTH, HEIGHT, photometric=6, compression=7) + in_one_strip(inside, HEIGHT) + [(530, 3, [2, 2])]
    corpus.picture("tiff_jpeg_ycbcr.tif", tiff(entries, inside), rgb)
    coarse = [ycc[y::2, x::2, 0] for y in (0, 1) for x in (0, 1)] + [ycc[::2, ::2, 1], ycc[::2, ::2, 2]]
    coarse = np.stack(coarse, 2).tobytes()
    entries = basic(WIDTH, HEIGHT, photometric=6) + in_one_strip(coarse, HEIGHT) + [(530, 3, [2, 2])]
    corpus.fails("tiff_ycbcr_coarse.tif", tiff(entries, coarse), UNREADABLE)
    five = np.dstack([rgb, grey, grey]).tobytes()
    entries = basic(WIDTH, HEIGHT, 5) + in_one_strip(five, HEIGHT) + [(338, 3, [0, 0])]
    corpus.fails("tiff_5_channels.tif", tiff(entries, five), "5 channels of the kind RGB")
    for count in [3, 10]:
        bands = np.dstack([grey] * count).tobytes()
        entries = basic(WIDTH, HEIGHT, count, photometric=1) + in_one_strip(bands, HEIGHT)
        corpus.fails(f"tiff_{count}_grey_channels.tif", tiff(entries, bands), f"{count} channels that are no colours")
    deep_planes = (rgb.astype("<u2") * 257).transpose(2, 0, 1).tobytes()
    places = [(273, 4, [8 + n * 2 * size for n in range(3)]), (278, 4, [HEIGHT]), (279, 4, [2 * size] * 3)]
    entries = basic(WIDTH, HEIGHT, bits=16) + places + [(284, 3, [2])]
    # OpenCV takes the first plane for pixels in colour.
    corpus.fails("tiff_planar_16_bit.tif", tiff(entries, deep_planes), "separate planes of 16-bit")
    inks = (np.dstack([255 - rgb, np.full_like(grey, 25)]).astype("<u2") * 257).tobytes()
    entries = basic(WIDTH, HEIGHT, 4, 16, 5) + in_one_strip(inks, HEIGHT)
    corpus.fails("tiff_cmyk_16_bit.tif", tiff(entries, inks), "4 channels of the kind CMYK, of 16-bit")
    entries = basic(WIDTH, HEIGHT, compression=50000) + in_one_strip(raw, HEIGHT)
    corpus.fails("tiff_zstd.tif", tiff(entries, raw), "without compression or with LZW")
    raw_picture = basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT) + [(50706, 1, [1, 4, 0, 0])]
    corpus.fails("tiff_of_raw.tif", tiff(raw_picture, raw), "develop it")
    nibbles = (grey >> 4)[:, ::2] << 4 | (grey >> 4)[:, 1::2]
    entries = basic(WIDTH, HEIGHT, 1, 4, 1) + in_one_strip(nibbles.tobytes(), HEIGHT)
    corpus.fails("tiff_grey_4_bit.tif", tiff(entries, nibbles.tobytes()), "4-bit integer samples")
    nibbles = (rgb >> 4).reshape(HEIGHT, -1)
    nibbles = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).tobytes()
    entries = basic(WIDTH, HEIGHT, bits=4) + in_one_strip(nibbles, HEIGHT)
    corpus.fails("tiff_rgb_4_bit.tif", tiff(entries, nibbles), "4-bit integer samples")
    word = grey.astype("<u4").tobytes()
    entries = basic(WIDTH, HEIGHT, 1, 32, 1) + in_one_strip(word, HEIGHT)
    corpus.fails("tiff_grey_32_bit.tif", tiff(entries, word), "32-bit integer samples")
    word = (rgb.astype("<u4") * 16843009).tobytes()
    corpus.fails("tiff_32_bit.tif", tiff(basic(WIDTH, HEIGHT, bits=32) + in_one_strip(word, HEIGHT), word), UNREADABLE)
    inks = np.dstack([255 - rgb, np.full_like(grey, 25)])
    corpus.picture("tiff_cmyk.tif", encode(Image.fromarray(inks, "CMYK"), "TIFF"), of_cmyk(255 - inks))
    for orientation in [3, 6, 99]:
        entries = basic(WIDTH, HEIGHT) + in_one_strip(raw, HEIGHT) + [(274, 3, [orientation])]
        shown = turned(rgb, orientation) if orientation < 9 else rgb
        corpus.picture(f"tiff_orientation_{orientation}.tif", tiff(entries, raw), shown)
    pages = [Image.fromarray(rgb)] + [Image.new("RGB", (2, 2), (20 * n, 0, 0)) for n in range(11)]
    corpus.picture("tiff_12_pages.tif", encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]), rgb)
    corpus.picture("tiff_strip_too_long.tif",
                   tiff(basic(WIDTH, HEIGHT) + [(273, 4, [8]), (278, 4, [2**31]), (279, 4, [len(raw)])], raw), rgb)  # fmt: skip

    for name, bits in [("tiff_signed.tif", 8), ("tiff_signed_16_bit.tif", 16)]:
        data = raw if bits == 8 else rgb.astype("<i2").tobytes()
        entries = basic(WIDTH, HEIGHT, bits=bits) + in_one_strip(data, HEIGHT) + [(339, 3, [2] * 3)]
        corpus.fails(name, tiff(entries, data), "samples of this kind")
    corpus.fails("tiff_header_alone.tif", plain[:8], UNREADABLE)
    corpus.fails("tiff_cut_in_directory.tif", plain[:-30], UNREADABLE)
    corpus.fails("tiff_cut_in_data.tif", tiff(
        basic(WIDTH, HEIGHT) + [(273, 4, [len(raw) // 2]), (278, 4, [HEIGHT]), (279, 4, [len(raw)])], raw[: len(raw) // 2],
    ), UNREADABLE)  # fmt: skip
    corpus.fails("tiff_0x0.tif", tiff(basic(0, 0) + in_one_strip(raw, HEIGHT), raw), "")
    corpus.fails("tiff_directory_far_away.tif", b"II*\0" + struct.pack("<I", 0xFFFFFFF0), UNREADABLE)
    corpus.fails("tiff_directory_of_itself.tif", b"II*\0" + struct.pack("<I", 0), UNREADABLE)
    entries = basic(11000, 11000) + in_one_strip(raw, 11000)
    corpus.fails("tiff_claims_11000x11000.tif", tiff(entries, raw), UNREADABLE)
    entries = basic(10000, 10000) + [(273, 4, [8] * 300), (278, 4, [1]), (279, 4, [2**31] * 300)]
    corpus.fails("tiff_claims_300_strips.tif", tiff(entries, raw), UNREADABLE)
    many = tiff(basic(WIDTH, HEIGHT) + [(273, 4, [8]), (278, 4, [1]), (279, 4, [9])], raw)
    many = many.replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 4, 2**31))
    corpus.fails("tiff_claims_strips_without_end.tif", many, "")


def palettes(corpus, rgb):
    index = quadrants(colours=[(n,) * 3 for n in range(4)], grain=0)[..., 0]
    palette = np.array([RED, GREEN, BLUE, SAND], int)

    def paletted(bits, indices, scale, compression=1, extra=()):
        # All reds, then all greens, then all blues.
        full = np.zeros((2**bits, 3), int)
        full[: min(4, 2**bits)] = palette[: 2**bits]
        packed = {1: lambda: np.packbits(indices, axis=1), 8: lambda: indices}
        packed[2] = lambda: indices[:, ::4] << 6 | indices[:, 1::4] << 4 | indices[:, 2::4] << 2 | indices[:, 3::4]
        packed[4] = lambda: indices[:, ::2] << 4 | indices[:, 1::2]
        data = packed[bits]().astype(np.uint8).tobytes()
        colours = [(320, 3, [int(v) for v in (full * scale).T.ravel()])]
        entries = basic(WIDTH, HEIGHT, 1, bits, 3, compression) + in_one_strip(data, HEIGHT) + colours + list(extra)
        return entries, data

    shown = palette[index].astype(np.uint8)
    for bits in [2, 4, 8]:
        corpus.picture(f"tiff_palette_{bits}_bit.tif", tiff(*paletted(bits, index, 257)), shown)
    corpus.picture("tiff_palette_1_bit.tif", tiff(*paletted(1, index % 2, 257)), palette[index % 2].astype(np.uint8))
    corpus.picture("tiff_palette_big_endian.tif", tiff(*paletted(8, index, 257), ">"), shown)
    corpus.picture("tiff_palette_of_8_bits.tif", tiff(*paletted(8, index, 1)), shown)
    corpus.picture("tiff_palette_big.tif", big_tiff(*paletted(4, index, 257)), shown)
    corpus.picture("tiff_palette_turned.tif", tiff(*paletted(8, index, 257, extra=[(274, 3, [6])])), turned(shown, 6))
    whole = Image.fromarray(index.astype(np.uint8), "P")
    whole.putpalette(palette.astype(np.uint8).tobytes())
    corpus.picture("tiff_palette.tif", encode(whole, "TIFF"), shown)
    corpus.picture("tiff_palette_lzw.tif", encode(whole, "TIFF", compression="tiff_lzw"), shown)
    entries, data = paletted(8, index, 257)
    entries = [entry for entry in entries if entry[0] != 320]
    corpus.fails("tiff_palette_missing.tif", tiff(entries, data), "palette is missing")
    corpus.fails("tiff_palette_short.tif", tiff(entries + [(320, 3, [9] * 30)], data), "palette is missing or too short")


def floats(corpus, rgb):
    """Loaders pass floating-point samples on and take them for 0 to 255."""

    def of(pixels, kind="<f4", photometric=2):
        data = np.ascontiguousarray(pixels.astype(kind)).tobytes()
        samples = pixels.shape[2] if pixels.ndim == 3 else 1
        entries = basic(WIDTH, HEIGHT, samples, np.dtype(kind).itemsize * 8, photometric) + in_one_strip(data, HEIGHT)
        return tiff(entries + [(339, 3, [3] * samples)], data, ">" if kind[0] == ">" else "<")

    corpus.picture("tiff_float.tif", of(rgb), rgb)
    corpus.picture("tiff_float_64_bit.tif", of(rgb, "<f8"), rgb)
    corpus.picture("tiff_float_big_endian.tif", of(rgb, ">f4"), rgb)
    corpus.picture("tiff_float_fractions.tif", of(rgb + 0.25), rgb)
    dark = rgb // 40
    corpus.picture("tiff_float_dark.tif", of(dark), dark)
    corpus.fails("tiff_float_of_one.tif", of(rgb / 255), "reach from 0.")
    corpus.fails("tiff_float_of_65535.tif", of(rgb * 257.0), "loaders take 0 for black and 255 for white")
    corpus.fails("tiff_float_below_zero.tif", of(rgb - 100.0), "reach from -")
    corpus.fails("tiff_float_black.tif", of(rgb * 0), "reach from 0.000 to 0.000")
    hole = rgb.astype(float)
    hole[3, 5] = np.nan
    corpus.fails("tiff_float_nan.tif", of(hole), "no finite numbers")
    hole[3, 5] = np.inf
    corpus.fails("tiff_float_infinite.tif", of(hole), "no finite numbers")
    corpus.fails("tiff_float_half.tif", of(rgb, "<f2"), UNREADABLE)
    corpus.fails("tiff_float_grey.tif", of(luma(rgb), photometric=1), "32-bit floating-point samples")


# BMP


def bmp(width, height, bits, data, compression=0, table=b"", size=40):
    head = 14 + size + len(table)
    if size == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", head + len(data), 0, 0, head) + info + table + data


def bottom_up(rows):
    """Rows of bytes, the last one first, each padded to a multiple of four bytes."""
    return b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in rows[::-1])


def bmps(corpus, rgb):
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    plain = bmp(WIDTH, HEIGHT, 24, bottom_up(bgr))
    corpus.picture("bmp_24_bit.bmp", plain, rgb)
    corpus.picture("bmp_top_down.bmp", bmp(WIDTH, -HEIGHT, 24, bottom_up(bgr[::-1])), rgb)
    corpus.picture("bmp_os2.bmp", bmp(WIDTH, HEIGHT, 24, bottom_up(bgr), size=12), rgb)
    corpus.picture("bmp_32_bit.bmp", bmp(WIDTH, HEIGHT, 32, bottom_up(np.dstack([bgr, bgr[..., :1]]))), rgb)
    index = quadrants(colours=[(n,) * 3 for n in range(4)], grain=0)[..., 0]
    palette = np.array([RED, GREEN, BLUE, SAND], np.uint8)
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in palette).ljust(1024, b"\0")
    corpus.picture("bmp_palette.bmp", bmp(WIDTH, HEIGHT, 8, bottom_up(index), table=table), palette[index])
    nibbles = index[:, ::2] << 4 | index[:, 1::2]
    corpus.picture("bmp_4_bit.bmp", bmp(WIDTH, HEIGHT, 4, bottom_up(nibbles), table=table[:64]), palette[index])
    half = WIDTH // 2
    rle = b"".join(bytes([half, row[0], half, row[-1], 0, 0]) for row in index[::-1]) + b"\0\1"
    corpus.picture("bmp_rle.bmp", bmp(WIDTH, HEIGHT, 8, rle, 1, table), palette[index])
    r, g, b = (rgb[..., n].astype(np.uint16) for n in range(3))
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    packed = (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype("<u2")
    corpus.picture("bmp_565.bmp", bmp(WIDTH, HEIGHT, 16, bottom_up(packed), 3, masks), rgb)

    corpus.fails("bmp_header_alone.bmp", plain[:20], UNREADABLE)
    corpus.fails("bmp_cut.bmp", plain[: len(plain) // 2], UNREADABLE)
    corpus.fails("bmp_0x0.bmp", bmp(0, 0, 24, b""), "")
    corpus.fails("bmp_claims_30000x30000.bmp", bmp(30000, 30000, 24, bottom_up(bgr)), "larger than 16384")
    corpus.fails("bmp_claims_11000x11000.bmp", bmp(11000, 11000, 24, bottom_up(bgr)), UNREADABLE)
    corpus.fails("bmp_negative_width.bmp", bmp(-WIDTH, HEIGHT, 24, bottom_up(bgr)), UNREADABLE)
    corpus.fails("bmp_7_bit.bmp", bmp(WIDTH, HEIGHT, 7, bottom_up(bgr)), UNREADABLE)


# WebP


def riff(*chunks):
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended(width, height, flags, *chunks):
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff((b"VP8X", struct.pack("<I", flags) + sides), *chunks)


def webps(corpus, rgb):
    lossless, lossy = encode(rgb, "WEBP", lossless=True), encode(rgb, "WEBP", quality=95)
    corpus.picture("webp_lossless.webp", lossless, rgb)
    corpus.picture("webp_lossy.webp", lossy, rgb)
    rgba = np.dstack([rgb, np.tile(np.arange(WIDTH, dtype=np.uint8) + 100, (HEIGHT, 1))])
    corpus.picture("webp_alpha.webp", encode(rgba, "WEBP", lossless=True, exact=True), rgb)
    corpus.picture("webp_lossy_alpha.webp", encode(rgba, "WEBP", quality=95, exact=True), rgb)
    frames = [Image.fromarray(255 - rgb), Image.fromarray(rgb // 2)]
    animated = encode(Image.fromarray(rgb), "WEBP", save_all=True, append_images=frames, lossless=True, duration=40)
    corpus.picture("webp_animated.webp", animated, rgb)
    corpus.picture("webp_exif_8.webp", encode(rgb, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(8)), turned(rgb, 8))
    corpus.picture("webp_junk_behind.webp", lossless + b"junk" * 20, rgb)

    corpus.fails("webp_header_alone.webp", lossless[:12], UNREADABLE)
    corpus.fails("webp_cut.webp", lossless[: len(lossless) // 2], JPEG_CUT)
    corpus.fails("webp_lossy_cut.webp", lossy[: len(lossy) // 2], JPEG_CUT)
    corpus.fails("webp_animated_cut.webp", animated[: len(animated) // 5], JPEG_CUT)
    # Every Huffman code has a single symbol, so a few bytes are a picture of any size.
    tiny = lossless[20:21] + struct.pack("<I", 16382 | 16382 << 14) + bytes([0x88, 0x88, 0x08] + [0] * 12)
    corpus.fails("webp_16383x16383.webp", riff((b"VP8L", tiny)), "134 megapixels")
    corpus.fails("webp_canvas_of_16384x16384.webp", extended(16384, 16384, 0, (b"VP8L", lossless[20:])), "134 megapixels")
    corpus.fails("webp_animation_without_frames.webp", extended(WIDTH, HEIGHT, 2), UNREADABLE)
    huge = extended(WIDTH, HEIGHT, 0x20, (b"ICCP", b""), (b"VP8L", lossless[20:]))
    at = huge.index(b"ICCP")
    huge = huge[: at + 4] + struct.pack("<I", 0xFFFFFFF0) + huge[at + 8 :]
    corpus.fails("webp_profile_longer_than_the_file.webp", huge, "")


def strangers(corpus, rgb):
    """Files that are no images, images with the extension of another format, extreme sizes, and odd names."""
    avif = struct.pack(">I", 28) + b"ftypavif\0\0\0\0avifmif1miaf" + bytes(40)
    corpus.fails("zero_bytes.jpg", b"", "the file is empty")
    corpus.fails("one_byte.png", b"\x89", FOREIGN)
    corpus.fails("words.jpg", "Dies ist kein Bild, nur ein Text.\n".encode(), FOREIGN)
    corpus.fails("page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n", FOREIGN)
    corpus.fails("document.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n", FOREIGN)
    corpus.fails("drawing.jpg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n', FOREIGN)
    corpus.fails("gif.jpg", encode(Image.fromarray(rgb).quantize(8), "GIF"), UNREADABLE)
    corpus.fails("avif.jpg", avif, "content is AVIF")
    corpus.fails("heic.jpg", avif.replace(b"avif", b"heic", 1), "content is HEIC")
    corpus.fails("jpeg_2000.jpg", bytes(3) + b"\x0cjP  \r\n\x87\n" + bytes(60), "content is JPEG 2000")
    corpus.fails("jpeg_2000_stream.png", b"\xff\x4f\xff\x51" + bytes(60), "content is JPEG 2000")
    corpus.fails("zeros.jpg", bytes(4096), FOREIGN)
    corpus.fails("git_lfs_pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", FOREIGN)
    corpus.picture("a_png_at_heart.jpg", png(WIDTH, HEIGHT, 8, 2, rows_of(rgb)), rgb)
    corpus.picture("a_jpeg_at_heart.png", encode(rgb, "JPEG", quality=95), rgb)
    corpus.picture("a_webp_at_heart.bmp", encode(rgb, "WEBP", lossless=True), rgb)
    corpus.picture("a_bmp_at_heart.tiff", encode(rgb, "BMP"), rgb)
    corpus.picture("a_tiff_at_heart.webp", encode(rgb, "TIFF"), rgb)
    for width, height in [(1, 1), (2, 1), (1, 400), (400, 1), (3, 5)]:
        small = quadrants(width, height)
        corpus.picture(f"size_{width}x{height}.png", png(width, height, 8, 2, rows_of(small)), small)
    thin = quadrants(1, 400)
    corpus.picture("size_1x400.jpg", encode(thin, "JPEG", quality=95, subsampling=0), thin)
    corpus.picture("size_3x5.webp", encode(quadrants(3, 5), "WEBP", lossless=True), quadrants(3, 5))
    jpeg = encode(rgb, "JPEG", quality=90)
    for name in ["with spaces in it.jpg", "-o.jpg", "#1 50%.jpg", "it's.jpg", "\U0001f697.jpg", "UPPER.JPG", "a.tar.jpg"]:
        corpus.picture(name, jpeg, rgb)
    corpus.picture("percent%20%s%n.Jpeg", jpeg, rgb)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tests/corpus"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    corpus = Corpus(folder)
    rgb = quadrants()
    for part in [jpegs, pngs, tiffs, bmps, webps, strangers]:
        part(corpus, rgb)
    (folder / "expected.tsv").write_text("\n".join(sorted(corpus.lines)) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{len(corpus.lines)} files, {size / 1000:.0f} kB in {folder}")


if __name__ == "__main__":
    main()

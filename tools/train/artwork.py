#!/usr/bin/env python3
"""Turn the emoji font of the system into a training set (.npz).

What: reads the names, groups and order from Unicode's `emoji-test.txt`, finds each emoji's bitmap (a PNG
in the CBDT table of Noto Color Emoji), composites it on white, shrinks it, and stores pictures and names.
Why: the default model must be made from files that every Debian machine can install, with known licences,
and made again by anybody with one command.

    apt install fonts-noto-color-emoji unicode-data
    python3 tools/train/artwork.py --out artwork.npz --sheet artwork.png

The set is narrowed on purpose (see models/emoji-promoe.md): faces, animals, food; no skin tones, no flags.
"""
import argparse
import io
import json
import os
import re
import sys

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES = "/usr/share/unicode/emoji/emoji-test.txt"
GROUPS = ("Smileys & Emotion", "Animals & Nature", "Food & Drink")
SKIPPED = ("heart", "emotion", "plant-flower", "plant-other", "dishware")


def words_of(text):
    """The words of a prompt: lower case, cut at everything that is not a letter or a digit."""
    return re.findall(r"[^\W_]+", text.lower())


def read_names(path, newest, groups=GROUPS, skipped=SKIPPED):
    """Rows of emoji-test.txt as (codepoints, name, group, subgroup), in the file's order."""
    rows, group, subgroup = [], "", ""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("# group:"):
                group = line[8:].strip()
            elif line.startswith("# subgroup:"):
                subgroup = line[11:].strip()
            found = re.match(r"([0-9A-F ]+?)\s*; fully-qualified\s*# \S+ E(\d+\.\d+) (.+)", line)
            if not found or group not in groups or subgroup in skipped or float(found[2]) > newest:
                continue
            points = [int(p, 16) for p in found[1].split()]
            if any(0x1F3FB <= p <= 0x1F3FF for p in points):
                continue  # a skin-tone variant
            rows.append((points, found[3].strip(), group, subgroup))
    return rows


class EmojiFont:
    """Bitmaps of a CBDT colour font by code point sequence."""

    def __init__(self, path):
        self.font = TTFont(path)
        self.strike = self.font["CBDT"].strikeData[0]
        self.cmap = self.font.getBestCmap()
        self.ligatures = {}
        for lookup in self.font["GSUB"].table.LookupList.Lookup:
            for sub in lookup.SubTable:
                for first, set_ in getattr(sub, "ligatures", {}).items():
                    for lig in set_:
                        self.ligatures[(first, *lig.Component)] = lig.LigGlyph

    def picture(self, points):
        """RGBA image of the sequence, or None where the font has no bitmap of it."""
        glyphs = tuple(self.cmap.get(p) for p in points if p != 0xFE0F)
        name = glyphs[0] if len(glyphs) == 1 else self.ligatures.get(glyphs)
        bitmap = self.strike.get(name)
        return Image.open(io.BytesIO(bitmap.imageData)).convert("RGBA") if bitmap else None


def on_white(picture, side):
    """The picture centred on a white square and shrunk to side x side (area filter)."""
    square = Image.new("RGBA", (max(picture.size[1], 128),) * 2, "white")
    square.alpha_composite(picture.crop(picture.getbbox()), tuple(
        max(0, (square.size[k] - (picture.getbbox()[k + 2] - picture.getbbox()[k])) // 2) for k in (0, 1)))
    return np.asarray(square.convert("RGB").resize((side, side), Image.Resampling.BOX))


def sheet(pictures, columns=16, zoom=2, gap=2):
    """One PIL image of all pictures (uint8 N,S,S,3) in rows."""
    n, side = len(pictures), pictures.shape[1]
    rows = -(-n // columns)
    out = np.full((rows * (side + gap) + gap, columns * (side + gap) + gap, 3), 255, np.uint8)
    for k, p in enumerate(pictures):
        y, x = gap + (k // columns) * (side + gap), gap + (k % columns) * (side + gap)
        out[y:y + side, x:x + side] = p
    return Image.fromarray(out).resize((out.shape[1] * zoom, out.shape[0] * zoom), Image.Resampling.NEAREST)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--font", default=FONT)
    args.add_argument("--names", default=NAMES)
    args.add_argument("--size", type=int, default=32, help="side of the pictures in pixels (%(default)s)")
    args.add_argument("--newest", type=float, default=3.0, help="newest emoji version taken (%(default)s)")
    args.add_argument("--out", default="artwork.npz")
    args.add_argument("--sheet", help="also write all pictures as one PNG")
    a = args.parse_args()
    for path, package in ((a.font, "fonts-noto-color-emoji"), (a.names, "unicode-data")):
        if not os.path.exists(path):
            sys.exit(f"artwork.py: {path} is missing; install it with: apt install {package}")
    font = EmojiFont(a.font)
    pictures, names, subgroups = [], [], []
    for points, name, _, subgroup in read_names(a.names, a.newest):
        picture = font.picture(points)
        if picture is None:
            print(f"artwork.py: no bitmap of '{name}', left out", file=sys.stderr)
            continue
        pictures.append(on_white(picture, a.size))
        names.append(name)
        subgroups.append(subgroup)
    pictures = np.stack(pictures)
    vocabulary = sorted({w for n in names for w in words_of(n)})
    np.savez_compressed(a.out, pictures=pictures, names=json.dumps(names), subgroups=json.dumps(subgroups),
                        vocabulary=json.dumps(vocabulary))
    if a.sheet:
        sheet(pictures).save(a.sheet)
    print(f"{len(names)} pictures, {len(vocabulary)} words -> {a.out}")


if __name__ == "__main__":
    main()

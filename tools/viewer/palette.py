"""The colours of experts in the viewer: python3 tools/viewer/palette.py prints the table of viewer/palette.c.

The first seven are those of Okabe and Ito (2008) without black, which would vanish on a dark ground. Each next one is the
candidate whose nearest earlier colour is farthest away, the distance of two colours being the least of what people with
common sight, protanopia, deuteranopia and (with a weight of two, for it is a hundred times rarer) tritanopia see of it.
Distances are Euclidean in Oklab (Ottosson 2020); sight is simulated in linear light by the matrices of Machado, Oliveira and
Fernandes (2009) at full severity. Candidates are a grid of lightness, chroma and hue inside sRGB, light enough to be seen on a dark
ground. Prints as well how far the nearest two of the first 8, 13, 16, 32, 64 lie from each other.
"""
import numpy as np

SIGHT = {
    "common": (1.0, np.eye(3)),
    "protanopia": (1.0, [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": (1.0, [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": (2.0, [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
FIRST = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
M1 = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
               [0.0883024619, 0.2817188376, 0.6299787005]])
M2 = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
               [0.0259040371, 0.7827717662, -0.8086757660]])


def linear(rgb):
    c = np.asarray(rgb, float) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(light):
    return np.cbrt(np.clip(light, 0, 1) @ M1.T) @ M2.T


def from_oklab(lab):
    light = (lab @ np.linalg.inv(M2).T) ** 3 @ np.linalg.inv(M1).T
    inside = np.all((light >= -1e-6) & (light <= 1 + 1e-6), axis=-1)
    c = np.clip(light, 0, 1)
    return np.rint(255 * np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)).astype(int), inside


def seen(rgb):
    """[n, 3] -> [sights, n, 3]: places in Oklab times the sight's weight."""
    return np.stack([w * oklab(linear(rgb) @ np.array(m).T) for w, m in SIGHT.values()])


def main():
    grid = [(l, c * np.cos(h), c * np.sin(h)) for l in np.arange(0.46, 0.951, 0.035) for c in np.arange(0.0, 0.30, 0.03)
            for h in np.arange(0, 2 * np.pi, np.pi / 24)]
    candidates, inside = from_oklab(np.array(grid))
    candidates = np.unique(candidates[inside], axis=0)
    places, chosen = seen(candidates), [np.array(c) for c in FIRST]
    far = np.full(len(candidates), np.inf)
    for c in chosen:
        far = np.minimum(far, np.linalg.norm(places - seen(c[None]), axis=-1).min(0))
    while len(chosen) < 64:
        c = candidates[int(np.argmax(far))]
        chosen.append(c)
        far = np.minimum(far, np.linalg.norm(places - seen(c[None]), axis=-1).min(0))
    for i in range(0, 64, 6):
        print("    " + " ".join("{%d, %d, %d}," % tuple(c) for c in chosen[i:i + 6]))
    for n in (7, 8, 13, 16, 32, 64):
        s = seen(np.array(chosen[:n]))
        d = np.linalg.norm(s[:, :, None] - s[:, None], axis=-1) + 9 * np.eye(n)
        print("first %d:" % n, ", ".join("%s %.3f" % (k, x.min() / SIGHT[k][0]) for k, x in zip(SIGHT, d)))


main()

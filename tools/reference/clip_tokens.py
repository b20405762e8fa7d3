#!/usr/bin/env python3
"""Write a small vocabulary in the form of CLIP's and the ids that the public implementation (package tokenizers, set up as
transformers sets it up for CLIP) gives for texts of all kinds: tests/import/clip/{vocab.json,merges.txt,cases.json}.

    python3 tools/reference/clip_tokens.py        (pip install tokenizers)
"""
import collections
import json
import os

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "import", "clip")
START, END = "<|startoftext|>", "<|endoftext|>"
CORPUS = """a photograph of an astronaut riding a horse, a photo of a cat with a red hat, the cat's face, grinning cats, they'll
don't we've highly detailed, digital painting, concept art, sharp focus, illustration, beautiful landscape with mountains and
a river at sunset, a portrait of an old man, studio lighting, the quick brown fox jumps over the lazy dog, naïve café"""
MERGES = 160
TEXTS = [
    "", " ", "a photograph of an astronaut riding a horse", "A CAT'S FACE", "they'll don't we've i'm you're he'd it's 'tis",
    "year 2024, 3.5 stars!!!", "tabs\tand\nlines \u00a0 and\u2003wide spaces", "naïve café ÀÉÎÕÜ ß Ø", "ΑΒΓ Ωμέγα Дом ДОМ",
    "日本語 テキスト 東京2020", "🙂🙂 grinning 👩‍🚀", "½ ² ٣ Ⅷ", "x" * 40, "cat" * 12, "!!'s ''s 's's", "under_score-dash/slash",
    f"before {START} middle{END}after", "<|startoftext", "a,b;c:d", "ÿ\u0101\u0130\u01c5", "end.", "the the the the the",
    " ".join(["astronaut"] * 90), "\u1eb9 \u00e9", "\u200b zero width", "“quotes” — dashes…", "ǅ ǆ Ǆ ꙀꙂ 𐐀𐐁",
]


def alphabet():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in kept]
    table = {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [table[b] for b in kept + others], table


def train(table):
    """Byte pairs of the corpus, the most frequent first; ties by text."""
    words = collections.Counter(CORPUS.replace(",", " ").split())
    words = {tuple([table[b] for b in w.encode()[:-1]] + [table[w.encode()[-1]] + "</w>"]): n for w, n in words.items()}
    merges = []
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        joined = {}
        for word, n in words.items():
            out = []
            for symbol in word:
                if out and (out[-1], symbol) == best:
                    out[-1] += symbol
                else:
                    out.append(symbol)
            joined[tuple(out)] = n
        words = joined
    return merges


def tokenizer(vocabulary, merges):
    t = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, dropout=None, continuing_subword_prefix="",
                             end_of_word_suffix="</w>", fuse_unk=False, unk_token=END))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "),
                                         normalizers.Lowercase()])
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, behavior="removed", invert=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.add_special_tokens([START, END])
    return t


def make():
    symbols, table = alphabet()
    merges = train(table)
    tokens = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges] + [START, END]
    tokens.remove("ÿ")  # a token the vocabulary lacks; the bytes behind it stand for the end
    return {t: i for i, t in enumerate(tokens)}, merges


def encode(t, vocabulary, text, room):
    ids = t.encode(text, add_special_tokens=False).ids
    dropped = max(0, len(ids) - (room - 2))
    ids = [vocabulary[START], *ids[: room - 2], vocabulary[END]]
    return ids + [vocabulary[END]] * (room - len(ids)), dropped


def main():
    vocabulary, merges = make()
    t = tokenizer(vocabulary, merges)
    cases = []
    for text in TEXTS:
        ids, dropped = encode(t, vocabulary, text, 77)
        cases.append({"text": text, "ids": ids, "dropped": dropped})
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "vocab.json"), "w") as file:
        json.dump(vocabulary, file, separators=(",", ":"))
    with open(os.path.join(FOLDER, "merges.txt"), "w") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    with open(os.path.join(FOLDER, "cases.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()

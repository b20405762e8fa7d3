"""From samples to a table: ratios, goals, Markdown between two markers of a file."""

BEGIN, END = "<!-- peers: written by tools/peers/compare.py -->", "<!-- peers: end -->"
ON_DRIVER = ("ncnn", "ggml")
ON_CPU = ("pytorch", "onnxruntime")
THREADS = {"wall": "{} threads each, wall time", "processor": "{} thread each, processor time"}
TITLES = {"ncnn": "ncnn", "ggml": "ggml", "pytorch": "PyTorch", "onnxruntime": "ONNX Runtime"}


def ratio(row, party):
    """How many times as long as Switchyard the party takes, or None."""
    own, other = (row["parties"].get(name) for name in ("switchyard", party))
    return other["median"] / own["median"] if own and other and own["median"] > 0 else None


def share(row):
    """Of the driver's own roof in the same rounds, or None. The roof is its best sample, ours the median."""
    own, roof = row["parties"].get("switchyard"), row["parties"].get("roof")
    amount = row["flops"] if row["roof"] == "fma" else row["bytes"]
    if not own or not roof or not amount:
        return None
    return amount / own["median"] / (roof["amount"] / roof["best"])


def goals(row):
    """[(against, goal, got or None, reached or None)] of a row."""
    out = []
    for against, goal in row["goals"].items():
        if against == "roof":
            got = share(row)
        elif against == "best":
            found = [r for r in (ratio(row, p) for p in ON_DRIVER) if r is not None]
            got = min(found) if found else None
        else:
            got = ratio(row, against)
        out.append((against, goal, got, None if got is None else got >= goal))
    return out


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"


def verdict(row):
    parts = []
    for against, goal, got, reached in goals(row):
        name = {"best": "the faster", "roof": "roof"}.get(against, TITLES.get(against))
        wanted = f"{goal:g} of the {name}" if against == "roof" else f"{goal:g} x {name}"
        parts.append(f"{wanted}: {'not measured' if got is None else 'yes' if reached else '**no**'}")
    return ", ".join(parts) or "-"


def line(row):
    """For people who wait."""
    own = row["parties"].get("switchyard")
    text = f"{row['name']}: " + (f"{own['median'] * 1e3:.2f} ms" if own else "no figure")
    for party in ON_DRIVER + ON_CPU:
        got = ratio(row, party)
        text += f"; {TITLES[party]} " + (f"{number(got)} x" if got else f"- ({row['missing'].get(party, 'left out')})")
    return text + (f"; {share(row):.2f} of the roof" if share(row) else "") + "; goals: " + verdict(row)


def cell(row, party):
    got = ratio(row, party)
    return f"{number(got)} x" + (f" (n={n})" if (n := row["parties"][party]["n"]) < 5 else "") if got else "-"


def table(result):
    rows = ["| work, f32 | Switchyard | roof | ncnn | ggml | PyTorch | ONNX Runtime | first goal |",
            "|---|---|---|---|---|---|---|---|"]
    for row in result["rows"]:
        own, part = row["parties"].get("switchyard"), share(row)
        cells = [row["name"], f"{own['median'] * 1e3:.1f} ms" if own else "-", f"{part:.2f}" if part else "-"]
        rows.append("| " + " | ".join(cells + [cell(row, p) for p in ON_DRIVER + ON_CPU] + [verdict(row)]) + " |")
    spreads = [p["spread"] for row in result["rows"] for p in row["parties"].values()]
    versions = "; ".join(v for v in result["versions"].values() if v)
    told = [f"{result['date']}, {result['machine']}, {THREADS[result['clock']].format(result['threads'])}: {versions}. "
            f"Medians of up to {result['rounds']} rounds through all parties; half of what lies between the quartiles is at most "
            f"{100 * max(spreads, default=0):.0f} % of a median, typically {100 * sorted(spreads)[len(spreads) // 2]:.0f} %. "
            f"Load of the machine {result['load_before']:.1f} before, {result['load_after']:.1f} after."]
    reasons = {}
    for row in result["rows"]:
        for party, why in row["missing"].items():
            if party in TITLES:
                reasons.setdefault((party, why), []).append(row["name"])
    for (party, why), names in reasons.items():
        told.append(f"No figure of {TITLES[party]} ({'; '.join(names) if len(names) < len(result['rows']) else 'any row'}): {why}.")
    return "\n".join(rows) + "\n\n" + "\n".join(told)


def inserted(text, table_):
    """`text` with the table between the markers; ValueError where they are not."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the file has no lines \"{BEGIN}\" and \"{END}\" to write the table between")
    return f"{before}{BEGIN}\n{table_}\n{END}{after}"

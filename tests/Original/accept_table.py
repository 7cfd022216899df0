"""The table of the acceptance: what each figure is expected to be, what was seen, and whether that is within."""
import math

WITHIN, OFF, NOT_SEEN, NOT_APPLICABLE, TOLD = "within", "off", "not seen", "not applicable", "told"
BAD = (OFF, NOT_SEEN)

VARIANTS = ("launch", "gemm", "tf32", "tf32_new", "conv", "attention", "scaler", "pinned", "item", "endsync", "streams", "compile")

# What a variant needs beside an accelerator: what the facts say, and the reason where it is not so.
ANYWHERE = ("launch", "gemm", "conv", "attention", "item")
NEEDS = {
    "tf32": (lambda f: "cuda" in f["built_for"], "TF32 is a matter of NVIDIA's GPUs"),
    "tf32_new": (lambda f: "cuda" in f["built_for"] and f["has"]["fp32_precision"], "needs fp32_precision: PyTorch 2.9 or newer"),
    "attention": (lambda f: f["has"]["attention"], "needs scaled_dot_product_attention: PyTorch 2.0 or newer"),
    "scaler": (lambda f: f["has"]["scaler"], "needs torch.amp.GradScaler: PyTorch 2.3 or newer"),
    "streams": (lambda f: f["has"]["streams"], "PyTorch has no streams for this kind of device"),
    "compile": (lambda f: f["has"]["compile"], "needs torch.compile and Triton"),
}
NOT_COMPILED = tuple(v for v in VARIANTS if v != "compile")  # torch.compile hides values, and its pass is a function of its own.
NOT_STREAMS = tuple(v for v in VARIANTS if v != "streams")
BOUND_BY_THE_DEVICE = ("gemm", "tf32", "tf32_new", "conv", "attention", "scaler", "streams")


def why_not(variant, facts):
    """Why a variant cannot run here; "" where it can."""
    if facts["kind"] == "cpu" and variant not in ANYWHERE:
        return "needs an accelerator"
    can_run, reason = NEEDS.get(variant, (lambda f: True, ""))
    return "" if can_run(facts) else reason


class Rule:
    """What a figure has to be: in words, and as a function of it and of all figures of its variant."""

    def __init__(self, figure, expected, is_within, variants=None, on_device=True, instead=""):
        self.figure, self.expected, self.is_within, self.variants = figure, expected, is_within, variants
        self.on_device, self.instead = on_device, instead

    def is_for(self, variant):
        return self.variants is None or variant in self.variants


def near(limit):
    return lambda value, _: math.isfinite(value) and abs(value) <= limit


def like(other):
    return lambda value, all_of: other in all_of and value == all_of[other]


def exactly(expected):
    return lambda value, _: value == expected


NO_KERNELS = "a profile of the host has none"
NO_TIMES = "times are judged on an accelerator"

RULES = (
    Rule("job_exit", "0: the job is not harmed", exactly(0), on_device=False),
    Rule("values_exit", "0: nor with --tensor-values", exactly(0), on_device=False),
    Rule("job_recorded", "true", exactly(True), on_device=False),
    Rule("values_recorded", "true", exactly(True), on_device=False),
    Rule("values_missing", "none", exactly("none"), NOT_COMPILED, on_device=False),
    Rule("verification", "exact", exactly("exact"), on_device=False),
    Rule("not_as_recorded", "0", exactly(0), NOT_STREAMS, on_device=False),
    Rule("not_as_recorded", "1: record_stream, whose stream no trace has", exactly(1), ("streams",), on_device=False),
    Rule("program", "torchscript", exactly("torchscript"), on_device=False,
         variants=("launch", "pinned", "item", "endsync", *BOUND_BY_THE_DEVICE)),  # Triton's kernels are launched from Python.
    Rule("non_finite", "0", exactly(0), on_device=False),
    Rule("unpaced_error", "within ±3 %", near(0.03), variants=BOUND_BY_THE_DEVICE, instead=NO_TIMES),
    Rule("unpaced_error", "negative: fewer gaps than Python has", lambda value, _: value < 0, variants=("launch",), instead=NO_TIMES),
    Rule("paced_error", "within ±3 %", near(0.03), instead=NO_TIMES),
    Rule("cupti_left", "within ±2 %", near(0.02), instead=NO_TIMES),
    Rule("replay_kernels", "as many as the original's", like("kernels"), instead=NO_KERNELS),
    Rule("other_kernels", "0", exactly(0), instead=NO_KERNELS),
    Rule("extra_waits", "1 or 2: those of who measures the replay", lambda value, _: value in (1, 2), instead=NO_KERNELS),
    Rule("replay_copies", "as the original's", like("copies"), instead=NO_KERNELS),
    Rule("pinned_copies", "some: copies of pinned memory stay so", lambda value, _: value > 0, variants=("pinned",), instead=NO_KERNELS),
    Rule("device_error", "within ±3 %", near(0.03), instead=NO_KERNELS),
    Rule("overlap_error", "within ±5 %", near(0.05), variants=("streams",), instead=NO_KERNELS),
    Rule("peak_error", "within ±5 %", near(0.05), instead="the profiler tells no such peak of the host"),
    Rule("framework_verification", "exact", exactly("exact"), NOT_COMPILED, on_device=False),
    Rule("framework_error", "within ±3 %", near(0.03), variants=BOUND_BY_THE_DEVICE, instead=NO_TIMES),
    Rule("framework_other_kernels", "0", exactly(0), NOT_COMPILED, instead=NO_KERNELS),
    Rule("framework_peak_error", "within ±5 %", near(0.05), NOT_COMPILED, instead="the profiler tells no such peak of the host"),
)


def judged(variant, rule, figures, facts):
    """A row of the table."""
    value = figures.get(rule.figure)
    row = {"variant": variant, "figure": rule.figure, "expected": rule.expected, "seen": value}
    if rule.on_device and facts["kind"] == "cpu":
        return {**row, "outcome": NOT_APPLICABLE, "why": rule.instead}
    if value is None:
        return {**row, "outcome": NOT_SEEN, "why": "a step failed, or its result has no such figure"}
    return {**row, "outcome": WITHIN if rule.is_within(value, figures) else OFF}


def rows_of_variant(variant, figures, facts):
    """The rows of a variant that ran: those that are judged, then the other figures, which are told."""
    rules = [rule for rule in RULES if rule.is_for(variant)]
    rows = [judged(variant, rule, figures, facts) for rule in rules]
    others = sorted(set(figures) - {rule.figure for rule in rules})
    return rows + [{"variant": variant, "figure": name, "expected": "", "seen": figures[name], "outcome": TOLD} for name in others]


def rows_of_variants(figures, variants, facts):
    """The rows of all variants; of one that cannot run here, one that says why."""
    rows = []
    for variant in variants:
        reason = why_not(variant, facts)
        if reason:
            rows.append({"variant": variant, "figure": "all", "expected": "", "seen": None, "outcome": NOT_APPLICABLE, "why": reason})
        else:
            rows += rows_of_variant(variant, figures.get(variant, {}), facts)
    return rows + rows_across(figures, variants, facts)


def ratio_of(figures, name, a, b):
    values = [figures.get(v, {}).get(name) for v in (a, b)]
    return values[0] / values[1] if all(values) else None


def rows_across(figures, variants, facts):
    """What two variants say together: the gain of TF32, and whether the waits of the host are those that were recorded."""
    rows = []
    for variant in ("tf32", "tf32_new"):
        if variant in variants and "gemm" in variants and not why_not(variant, facts):
            original, replay = (ratio_of(figures, name, "gemm", variant) for name in ("before_ms", "unpaced_ms"))
            seen = {"tf32_gain": replay / original - 1 if original and replay else None}
            rows.append(judged(f"{variant} and gemm", Rule("tf32_gain", "of the replay within ±5 % of the original's", near(0.05)), seen,
                               facts))
    for variant in variants if "gemm" in variants else ():
        if variant != "gemm" and not why_not(variant, facts):
            theirs, gemms = (figures.get(v, {}).get("extra_waits") for v in (variant, "gemm"))
            seen = {"extra_waits": theirs, "gemm's": gemms} if None not in (theirs, gemms) else {}
            rows.append(judged(f"{variant} and gemm", Rule("extra_waits", "as many as gemm's: all others were recorded", like("gemm's"),
                                                           instead=NO_KERNELS), seen, facts))
    return rows


# Beside the variants.

CHECKS = (
    Rule("device", "the device that was named", lambda value, all_of: value.split(" ")[0] == all_of["named"], on_device=False),
    Rule("long_run", "first and last 20 of 500 samples within ±2 %", near(0.02), instead=NO_TIMES),
    Rule("eager_error", "within ±3 % of TorchScript", near(0.03), instead=NO_TIMES),
    Rule("hook_cost", "below 1 % of an iteration", lambda value, _: value < 0.01, instead=NO_TIMES),
    Rule("compare_verification", "exact", exactly("exact"), on_device=False),
    Rule("compare_time", "at the original's pace within ±5 %", near(0.05), instead=NO_TIMES),
    Rule("compare_peak", "within ±5 %", near(0.05), instead="the host's peak is not compared"),
    Rule("compare_kernels", "at most 5 % are one side's alone", near(0.05), instead=NO_KERNELS),
)


def rows_of_check(name, figures, wanted, facts):
    """The rows of a check that is to give the figures of these names; the other figures are told."""
    rows = [judged(name, rule, figures, facts) for rule in CHECKS if rule.figure in wanted]
    others = sorted(set(figures) - set(wanted) - {"named"})
    return rows + [{"variant": name, "figure": n, "expected": "", "seen": figures[n], "outcome": TOLD} for n in others]


def is_accepted(rows, steps):
    """Whether something was judged, all of that is within, and no step failed."""
    outcomes = [row["outcome"] for row in rows]
    return WITHIN in outcomes and not any(o in BAD for o in outcomes) and all(step["exit_code"] == 0 for step in steps)


def in_words(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{n} {name}" for name, n in sorted(value.items())) or "none"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def together(rows):
    """Of each variant one row for what does not apply for the same reason, and one for what is told and not judged."""
    kept, others = [], {}
    for row in rows:
        if row["outcome"] in (NOT_APPLICABLE, TOLD):
            others.setdefault((row["variant"], row["outcome"], row.get("why")), []).append(row)
        else:
            kept.append(row)
    for (variant, outcome, why), same in others.items():
        seen = [f"{r['figure']} {in_words(r['seen'])}" for r in same if r["seen"] is not None]
        kept.append({"variant": variant, "figure": ", ".join(r["figure"] for r in same) if outcome == NOT_APPLICABLE else "others",
                     "expected": "", "seen": "; ".join(seen), "outcome": outcome, "why": why})
    return kept


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def markdown(result):
    """The table, for people: what is not within comes first, then what was judged, then what does not apply."""
    rows, steps = result["rows"], result["steps"]
    count = {o: sum(row["outcome"] == o for row in rows) for o in (WITHIN, *BAD, NOT_APPLICABLE)}
    failed = [step for step in steps if step["exit_code"] != 0]
    lines = ["# Acceptance", "", f"{'Accepted' if result['accepted'] else 'Not accepted'}: "
             + ", ".join(f"{n} {outcome}" for outcome, n in count.items()) + f"; {len(failed)} of {len(steps)} steps failed.", "",
             *(f"- {name}: {cell(in_words(value))}" for name, value in result["machine"].items()), ""]
    if failed:
        lines += ["| step that failed | exit code | its last words |", "| --- | ---: | --- |",
                  *(f"| {s['variant']}: {s['step']} | {s['exit_code']} | {cell(s['said'])} |" for s in failed), ""]
    lines += ["| variant | figure | expected | seen | outcome |", "| --- | --- | --- | --- | --- |"]
    order = {OFF: 0, NOT_SEEN: 0, WITHIN: 1, NOT_APPLICABLE: 2, TOLD: 3}
    for row in sorted(together(rows), key=lambda r: order[r["outcome"]]):
        outcome = f"**{row['outcome']}**" if row["outcome"] in BAD else row["outcome"]
        why = f": {row['why']}" if row.get("why") else ""
        cells = row["variant"], row["figure"], row["expected"], in_words(row["seen"]), outcome + why
        lines.append("| " + " | ".join(cell(c) for c in cells) + " |")
    return "\n".join(lines) + "\n"

"""Makes docs/reproduction.md and its figures from the runs that `study.run` has kept.

Every number and every verdict is computed from them; what was seen by eye comes from `remarks.md`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from study.claims import ENTRIES, LAYERS, LIGHT, PAIRS, SEASON, STRENGTHS, Study, remarks
from study.figures import curves, pictures, table, title, verdict

Runs = dict[str, dict[str, Any]]


def saved(runs: Runs, claim: str, pair: tuple[str, str], name: str) -> dict[str, Any]:
    """What the run of that claim, pair and name has kept."""
    return runs[f"{claim}/{'_'.join(pair)}/{name}"]


def last(run: dict[str, Any]) -> np.ndarray:
    """Total, content and style loss of the fixed objective at the end."""
    return run["curve"][-1, 1:]


def reached(run: dict[str, Any], goal: float) -> float:
    """Evaluations until the fixed objective is at the goal; infinite where it never is."""
    below = run["curve"][run["curve"][:, 1] <= goal]
    return float(below[0, 0]) if len(below) else float("inf")


def forms(runs: Runs, place: Path) -> str:
    """Section of the document, and its figures."""
    names = [f"{optimizer}, {form}" for optimizer in ("lbfgsb", "jaxopt", "clamped")
             for form in ("mse", "sum", "sum, rescaled")]  # fmt: skip
    rows, raw, rest = [], [], []
    for pair in PAIRS:
        kept = {name: saved(runs, "forms", pair, name) for name in names}
        goal = 1.05 * min(last(run)[0] for run in kept.values())
        rows += [[title(pair), name, float(last(run)[0]), reached(run, goal)] for name, run in kept.items()]
        ends = {name: float(last(run)[0]) for name, run in kept.items()}
        raw += [ends["jaxopt, mse"] < 0.98 * ends["jaxopt, sum"] or ends["clamped, mse"] < 0.98 * ends["clamped, sum"]]
        rest += [max(abs(ends[f"{o}, mse"] / ends[f"{o}, sum, rescaled"] - 1) for o in ("lbfgsb", "jaxopt", "clamped"))]
    curves(place / "forms.png", [(title(p), {n: saved(runs, "forms", p, n) for n in names if "rescaled" not in n})
                                 for p in PAIRS])  # fmt: skip
    shown = [name for name in names if "rescaled" not in name]
    pictures(place / "forms.jpg", [[(n, saved(runs, "forms", p, n)["image"]) for n in shown] for p in PAIRS])
    own = [abs(float(last(saved(runs, "forms", p, "lbfgsb, mse"))[0] / last(saved(runs, "forms", p, "lbfgsb, sum"))[0]) - 1)
           for p in PAIRS]  # fmt: skip
    return f"""## 1. mse converges faster than sum

Alpha is 1 and beta such that both forms have the same minimum; they differ by a factor of the whole loss only.
`sum, rescaled` is multiplied so that its first gradient is as long as mse's. Solvers: jnst's, jaxopt's LBFGSB, and L-BFGS with step 1 and clamping (optax).

{table(["pair", "solver, form", "fixed objective at the end", "evaluations to 1.05 times the best"], rows)}

![curves](reproduction/forms.png)
![pictures](reproduction/forms.jpg)

{verdict(raw, "with a solver whose steps depend on the unit of the loss (jaxopt's or the clamped one), mse ends lower by 2 % or more.")}
With jnst's solver, which has no unit, the two ends differ by at most {max(own):.1%}. Rescaled to the same first step, at most {max(rest):.1%} of difference is left
between the forms with any of the three solvers: the scale is the whole effect.

{remarks()["forms"]}
"""


def starts(runs: Runs, place: Path, study: Study) -> str:
    """Section of the document, and its figures."""
    names, rows, faster, better, nearer = ("content", "noise", "style"), [], [], [], []
    panels = []
    for pair in PAIRS:
        kept = {name: saved(runs, "starts", pair, name) for name in names}
        goal = 1.1 * min(last(run)[0] for run in kept.values())
        rows += [[title(pair), name, *map(float, last(run)), reached(run, goal)] for name, run in kept.items()]
        faster += [reached(kept["content"], goal) <= min(reached(kept[name], goal) for name in names[1:])]
        better += [last(kept["content"])[0] <= min(last(kept[name])[0] for name in names[1:])]
        nearer += [last(kept["content"])[1] <= min(last(kept[name])[1] for name in names[1:])]
        content, style = study.images(pair)
        panels += [[("content", content), ("style", style), *((f"from {n}", r["image"]) for n, r in kept.items())]]
    curves(place / "starts.png", [(title(p), {n: saved(runs, "starts", p, n) for n in names}) for p in PAIRS])
    pictures(place / "starts.jpg", panels)
    return f"""## 2. A start from the content converges faster and looks better

{table(["pair", "start", "total", "content", "style", "evaluations to 1.1 times the best"], rows)}

![curves](reproduction/starts.png)
![pictures](reproduction/starts.jpg)

{verdict(faster, "from the content the fixed objective comes to 1.1 times the best end in the fewest evaluations.")}
{verdict(better, "its end is the lowest of the three.")}
{verdict(nearer, "its content error at the end is the lowest.")}

{remarks()["starts"]}
"""


def gradients(runs: Runs, place: Path, study: Study) -> str:
    """Section of the document, and its figures."""
    rows, equal, lower, panels, apart = [], [], [], [], []
    for pair in PAIRS:
        kept = saved(runs, "gradients", pair, "differences")
        ends = {
            n: saved(runs, "gradients", pair, n) for n in ("separate", "shared", "adam, shared", "adam, normalized")
        }
        rows += [
            [title(pair), float(kept["separate"]), float(kept["shared"]), *(float(last(r)[0]) for r in ends.values())]
        ]
        equal += [float(kept["separate"]) < 1e-3]
        apart += [float(np.abs(ends["separate"]["image"] - ends["shared"]["image"]).mean() * 255)]
        lower += [float(last(ends["adam, normalized"])[0]) < float(last(ends["adam, shared"])[0])]
        panels += [[(name, run["image"]) for name, run in ends.items()]]
    pictures(place / "gradients.jpg", panels)
    names = ("separate", "shared", "adam, shared", "adam, normalized")
    curves(place / "gradients.png", [(title(p), {n: saved(runs, "gradients", p, n) for n in names}) for p in PAIRS])
    head = ["pair", "separate - joint, relative", "shared - joint, relative", "separate", "shared", "adam, shared",
            "adam, normalized"]  # fmt: skip
    return f"""## 3. Separate gradients change the result

The first two columns: difference of the gradients at one image, over their length; then the fixed objective at the end of a run (those of Adam
with relative losses, whose weights have no unit).

{table(head, rows)}

![curves](reproduction/gradients.png)
![pictures](reproduction/gradients.jpg)

{verdict([not e for e in equal], "the gradients differ by more than 0.1 %. They are the same up to rounding, since the pull-back is linear;")}
what is left in the pictures is rounding that a run enlarges (mean difference of separate and shared at the end: {", ".join(f"{a:.1f}" for a in apart)} of 255 levels).
{verdict(lower, "gradients brought to length 1 each (Adam, since no line search can follow them) end lower than plain ones on the fixed objective.")}

{remarks()["gradients"]}
"""


def layers(runs: Runs, place: Path, study: Study) -> str:
    """Section of the document, and its figures."""
    rows, panels, wider = [], [], []
    for pair in PAIRS:
        ends = {(n, r): last(saved(runs, "layers", pair, f"{n}, {r}"))[1:] for n in LAYERS for r in STRENGTHS}
        rows += [[title(pair), n, r, *map(float, e)] for (n, r), e in ends.items()]

        def spread(chosen: list[np.ndarray]) -> float:
            """How far apart the results lie: of the larger to the smaller loss, content and style multiplied."""
            return float(np.prod(np.max(chosen, 0) / np.min(chosen, 0)))

        by_layers = np.median([spread([ends[n, r] for n in LAYERS]) for r in STRENGTHS])
        by_weight = np.median([spread([ends[n, r] for r in STRENGTHS]) for n in LAYERS])
        wider += [bool(by_layers > by_weight)]
        rows += [[title(pair), "spread by layers, by strength", "", float(by_layers), float(by_weight)]]
        panels += [
            [(f"{n}, {r}", saved(runs, "layers", pair, f"{n}, {r}")["image"]) for r in STRENGTHS for n in LAYERS]
        ]
    apart = [
        np.abs(
            saved(runs, "layers", p, "mse, all, conv4_2")["image"]
            - saved(runs, "layers", p, "mse, high, conv4_2")["image"]
        )
        for p in PAIRS
    ]
    shown = [f"{name}, {r}" for name in LAYERS for r in (STRENGTHS[0], STRENGTHS[-1])]
    curves(place / "layers.png", [(title(p), {n: saved(runs, "layers", p, n) for n in shown}) for p in PAIRS])
    half = [[cells[k : k + 4] for k in range(0, 12, 4)] for cells in panels]
    pictures(place / "layers.jpg", [row for cells in half[:2] for row in cells])
    return f"""## 4. Layers are a better knob than the weight

`all` are conv1_1 to conv5_1, `high` conv3_1 to conv5_1; relative losses; the errors are the fixed objective's, after {study.count(25)} iterations.

{table(["pair", "style layers, content layer", "strength", "content error", "style error"], rows)}

![curves](reproduction/layers.png)
![pictures of the first two pairs](reproduction/layers.jpg)

{verdict(wider, "the layer sets spread content and style errors further than the strengths 0.5 to 0.93 do (median of the products of both ranges).")}
With the study's mse losses and equal weights the lower layers hardly count, because the squared errors of a layer grow with its activations: the pictures of
`all` and of `high` (conv4_2, strength 0.93) are only {", ".join(f"{255 * a.mean():.2f}" for a in apart)} of 255 levels apart in the mean. With relative losses the same choice matters.
The two do different things: strength moves along one line from photograph to painting, the layers decide which of the painting's features (colour and grain, or shapes
alone) and how much of the photograph's detail take part.

{remarks()["layers"]}
"""


def partial_transfer(runs: Runs, place: Path, study: Study) -> str:
    """Section of the document, and its figures."""
    rows, nearer, panels = [], [], []
    for pair in (*PAIRS, SEASON, LIGHT):
        full, part = (saved(runs, "partial", pair, name) for name in ("full", "partial"))
        rows += [[title(pair), name, *map(float, last(run))] for name, run in (("full", full), ("partial", part))]
        content, style = study.images(pair)
        nearer += [bool(np.abs(part["image"] - content).mean() < np.abs(full["image"] - content).mean())]
        panels += [[("content", content), ("style", style), ("full", full["image"]), ("partial", part["image"])]]
    pictures(place / "partial.jpg", panels)
    both = {p: {n: saved(runs, "partial", p, n) for n in ("full", "partial")} for p in (*PAIRS, SEASON, LIGHT)}
    curves(place / "partial.png", [(title(pair), lines) for pair, lines in both.items()])
    return f"""## 5. Partial transfer (Nikulin and Novak)

Content in conv1_1 to conv5_1, style in conv3_1 and conv5_1, beside content conv4_2 and style conv1_1 to conv5_1. {title(SEASON)} is the season, {title(LIGHT)} the light.

{table(["pair", "transfer", "total", "content", "style"], rows)}

![curves](reproduction/partial.png)
![pictures](reproduction/partial.jpg)

{verdict(nearer, "the partial transfer stays nearer to the photograph, pixel by pixel.")}

{remarks()["partial"]}
"""


def bounds(runs: Runs, place: Path, study: Study) -> str:
    """Section of the document, and its figures."""
    rows, lower, grown = [], [], []
    for pair in PAIRS:
        kept = {name: saved(runs, "bounds", pair, name) for name in ("bounds", "clamped")}
        for name, run in kept.items():
            at = [float(np.interp(k, run["curve"][:, 0], run["curve"][:, 1])) for k in (50, 100, 200)] + [
                float(run["curve"][-1, 1])
            ]
            rows += [[title(pair), name, *at, float(run["curve"][:, 1].min())]]
        curve = kept["clamped"]["curve"][:, 1]
        lower += [bool(last(kept["bounds"])[0] < curve[-1])]
        grown += [bool(curve[-1] > 1.05 * curve.min() or not np.isfinite(curve).all())]
    curves(
        place / "bounds.png",
        [(title(p), {n: saved(runs, "bounds", p, n) for n in ("bounds", "clamped")}) for p in PAIRS],
    )
    pictures(
        place / "bounds.jpg",
        [[(n, saved(runs, "bounds", p, n)["image"]) for p in PAIRS for n in ("bounds", "clamped")]],
    )
    return f"""## 6. Clamping inside L-BFGS against true bounds

L-BFGS with step 1 whose image is clamped to [0, 1] after each step while its memory keeps the steps that were meant (optax's L-BFGS, used as the study used PyTorch's), beside jnst's bounded solver, {study.count(250)} iterations on the same objective (mse).
Curves are of the iterates.

{table(["pair", "solver", "at 50", "at 100", "at 200", "at the end", "lowest"], rows)}

![curves](reproduction/bounds.png)
![pictures](reproduction/bounds.jpg)

{verdict(lower, "with true bounds the end is lower than with clamping.")}
{verdict(grown, "the clamped run blows up, or ends at least 5 % above its own lowest value.")}

{remarks()["bounds"]}
"""


def entries(runs: Runs, place: Path) -> str:
    """Section of the document, and its figures."""
    cells = [
        (f"{layer} {pair}", runs[f"entries/{layer}_{'-'.join(map(str, pair))}/maximised"]) for layer, pair in ENTRIES
    ]
    pictures(
        place / "entries.jpg",
        [[(name, run["image"]) for name, run in cells[k : k + 3]] for k in range(0, len(cells), 3)],
    )
    rows = [[name, float(run["curve"][0]), float(run["curve"].max())] for name, run in cells]
    return f"""## The space of styles (Nikulin and Novak)

Pictures, from noise, that maximise one entry of a mean Gram matrix (`objective.gram_entry`): on the diagonal what one filter looks for, repeated; beside it what two filters have
in common.

{table(["entry", "of the noise", "at the end"], rows)}

![pictures](reproduction/entries.jpg)
"""


def write(study: Study, runs: Runs, folder: Path, about: str) -> None:
    """Writes the document and its figures.

    Args:
        study: gives the example pictures and the settings.
        runs: what each run has kept, by its key.
        folder: gets reproduction.md and a folder of figures.
        about: the machine, network and versions, for the first paragraph.
    """
    place = folder / "reproduction"
    place.mkdir(parents=True, exist_ok=True)
    parts = [
        forms(runs, place), starts(runs, place, study), gradients(runs, place, study), layers(runs, place, study),
        partial_transfer(runs, place, study), bounds(runs, place, study), entries(runs, place),
    ]  # fmt: skip
    head = f"""# The claims of the 2017 study, put to the test

Made by `python -m study.run` ({study.size} px, {study.effort:g} times the quick version's iterations; {about}); every number is of its runs, and the verdicts are
computed from them. Three pairs of pictures that come with the project (their middle, 4:3): {", ".join(map(title, PAIRS))}. All curves and errors are of one fixed objective:
relative losses, default layers, strength 0.93, one size. What is minimised is, unless a section says otherwise, the study's: mse, content start, one scale.
Three small pairs are an indication, not a proof.
"""
    (folder / "reproduction.md").write_text("\n".join([head, *parts]))

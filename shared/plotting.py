"""The house style: colour-blind safe colours, intervals, direct labels, small PNGs.

Importing this module sets matplotlib's defaults for the notebook.
"""

from __future__ import annotations

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from shared.evidence import student

# Okabe and Ito's palette, yellow left out because it fades on white.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#222222",
    "grey": "#8C8C8C",
}
CYCLE = tuple(COLOURS[c] for c in ("blue", "vermilion", "green", "purple", "orange", "sky"))

mpl.rcParams.update(
    {
        "figure.figsize": (7.2, 4.0),
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "axes.prop_cycle": mpl.cycler(color=CYCLE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.labelsize": 10,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "font.family": "DejaVu Sans",
    }
)


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and 95 % t interval over axis 0 of (repetitions, points)."""
    values = np.asarray(values, dtype=float)
    if values.shape[0] < 2:
        return values[0], values[0], values[0]
    estimates = [student(column) for column in values.T]
    return tuple(np.array([getattr(e, key) for e in estimates]) for key in ("value", "low", "high"))


def curve(
    ax: Axes, x: object, values: object, label: str = "", colour: str | None = None, **line: object
) -> None:
    """Mean line with its 95 % band; `values` is (repetitions, points), `x` is (points,).

    The label stands at the line's right end; `colour` is a name of COLOURS or matplotlib's.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    mean, low, high = _interval(values)
    (drawn,) = ax.plot(x, mean, color=COLOURS.get(colour, colour), **line)
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)
    if label:
        end_label(ax, np.asarray(x)[-1], mean[-1], label, drawn.get_color())


def end_label(
    ax: Axes, x: float, y: float, text: str, colour: str = "black", dy: float = 0
) -> None:
    """Write `text` just right of (x, y) in data units, shifted by `dy` points."""
    ax.annotate(
        text,
        (x, y),
        xytext=(5, dy),
        textcoords="offset points",
        va="center",
        color=COLOURS.get(colour, colour),
        fontsize=9,
        annotation_clip=False,
    )


def dots(ax: Axes, arms: dict[str, object], colours: dict[str, str] | None = None) -> None:
    """One row an arm: every repetition as a dot, the mean and its 95 % interval as a bar.

    `arms` maps an arm's name to its values, shape (repetitions,). The first arm stands on top.
    """
    colours = colours or {}
    for row, (name, values) in enumerate(arms.items()):
        values = np.asarray(values, dtype=float)
        colour = colours.get(name, CYCLE[row % len(CYCLE)])
        colour = COLOURS.get(colour, colour)
        mean, low, high = (v[0] for v in _interval(values[:, None]))
        ax.plot(
            [low, high], [row, row], color=colour, linewidth=6, alpha=0.3, solid_capstyle="butt"
        )
        ax.plot(values, np.full(len(values), row), "o", color=colour, markersize=4, alpha=0.7)
        ax.plot([mean], [row], "|", color=colour, markersize=16, markeredgewidth=2.5)
    ax.set_yticks(range(len(arms)), list(arms))
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)


def paper_line(ax: Axes, value: float, text: str = "paper", axis: str = "y") -> None:
    """A dashed line at the paper's value, or at a bound, with its label."""
    style = {"color": COLOURS["black"], "linestyle": (0, (4, 3)), "linewidth": 1.1}
    if axis == "y":
        ax.axhline(value, **style)
        at, where = (0.01, value), ax.get_yaxis_transform()
    else:
        ax.axvline(value, **style)
        at, where = (value, 0.99), ax.get_xaxis_transform()
    ax.annotate(
        text,
        at,
        xycoords=where,
        xytext=(3, 3 if axis == "y" else -3),
        textcoords="offset points",
        va="bottom" if axis == "y" else "top",
        fontsize=8.5,
        color=COLOURS["black"],
    )


def png(figure: Figure, dpi: int = 144) -> bytes:
    """The figure as a PNG of at most 256 colours: a third of the bytes, the same to the eye."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, facecolor="white")
    image = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=0)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def show(figure: Figure, description: str) -> None:
    """Show the figure in the notebook and close it; `description` is what a reader who cannot
    see it is told, in one sentence."""
    from IPython.display import display

    display({"image/png": png(figure), "text/plain": f"Figure: {description}"}, raw=True)
    plt.close(figure)

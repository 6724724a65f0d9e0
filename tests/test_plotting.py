"""Figures: intervals where they belong, small PNGs, colours that stay apart without hue."""

import io

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from shared import plotting
from shared.evidence import student


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_curve_draws_mean_band_and_label(ax):
    values = np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 5.0], [3.0, 4.0, 4.0]])
    plotting.curve(ax, [0, 1, 2], values, label="arm", colour="green")
    (line,) = ax.lines
    assert np.allclose(line.get_ydata(), values.mean(0))
    assert line.get_color() == plotting.COLOURS["green"]
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(min(student(c).low for c in values.T))
    assert ax.texts[0].get_text() == "arm"


def test_one_repetition_has_no_band_to_draw(ax):
    plotting.curve(ax, [0, 1], [[1.0, 2.0]])
    assert np.allclose(ax.lines[0].get_ydata(), [1, 2])


def test_dots_name_the_arms_from_the_top(ax):
    plotting.dots(ax, {"a": [1.0, 2.0, 3.0], "b": [2.0]}, {"a": "vermilion"})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    estimate = student([1.0, 2.0, 3.0])
    assert np.allclose(ax.lines[0].get_xdata(), [estimate.low, estimate.high])


def test_paper_line_on_either_axis(ax):
    plotting.paper_line(ax, 0.5)
    plotting.paper_line(ax, 2.0, "bound", axis="x")
    assert ax.lines[0].get_ydata()[0] == 0.5 and ax.lines[1].get_xdata()[0] == 2.0
    assert [t.get_text() for t in ax.texts] == ["paper", "bound"]


def test_png_is_small_and_144_dpi():
    fig, ax = plt.subplots(figsize=(7, 4))
    ax.plot(np.random.default_rng(0).normal(size=(300, 4)))
    data = plotting.png(fig)
    image = Image.open(io.BytesIO(data))
    assert image.size == (1008, 576) and image.mode == "P"
    assert len(data) < 120_000 and data == plotting.png(fig)
    plt.close(fig)


def test_show_gives_a_description_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    fig, _ = plt.subplots()
    plotting.show(fig, "a line that rises")
    assert shown[0]["text/plain"] == "Figure: a line that rises" and "image/png" in shown[0]
    assert not plt.fignum_exists(fig.number)


def test_the_palette_keeps_its_steps_in_grey():
    def luminance(colour):
        return np.dot(mpl.colors.to_rgb(colour), [0.2126, 0.7152, 0.0722])

    first = sorted(luminance(plotting.COLOURS[c]) for c in ("black", "blue", "orange"))
    assert min(np.diff(first)) > 0.15

"""gradcheck.probe: rays move what they should, by how much they say, and put it back to the last bit."""

import numpy as np
import pytest

from gradcheck.evaluate import Evaluator
from gradcheck.layer import Layer
from gradcheck.probe import EntryRay, ProjectionRay, default_step, signed

X = np.array([[0.1, -2.0], [3.0, 1e6]])
Y = np.array([0.0, 1e-12])


def evaluator_of(dtype=np.float64, forward=None):
    primals = {"x": X.astype(dtype), "y": Y.astype(dtype)}
    run = forward or (lambda p: {"output": np.concatenate([p["x"].ravel(), p["y"]])})
    layer = Layer("identity", lambda p: (run(p), dict), primals, ("x", "y"))
    evaluator = Evaluator(layer, primals)
    evaluator.remember(evaluator.run().outputs)
    return evaluator


@pytest.mark.parametrize("index", list(np.ndindex(2, 2)))
@pytest.mark.parametrize("step", [1e-3, -0.7, 1e-9])
def test_entry_ray_moves_one_entry_and_puts_it_back(index, step):
    evaluator = evaluator_of()
    before = evaluator.point["x"].tobytes()
    outputs, taken = EntryRay(evaluator, "x", index).at(step)
    moved = outputs[:4].reshape(2, 2)
    assert moved[index] - X[index] == taken
    assert taken == pytest.approx(step, abs=2 * np.spacing(abs(X[index])))
    assert (moved != X).sum() <= 1
    assert evaluator.point["x"].tobytes() == before


def test_entry_ray_knows_scale_magnitude_and_spacing():
    evaluator = evaluator_of()
    large, small, zero = (EntryRay(evaluator, *entry) for entry in (("x", (1, 1)), ("y", (1,)), ("y", (0,))))
    assert (large.scale, large.magnitude, large.spacing) == (1e6, 1e6, np.spacing(1e6))
    assert (small.scale, small.magnitude) == (1.0, 1e-12)
    assert (zero.scale, zero.magnitude) == (1.0, 0.0)
    assert zero.spacing > 0


def test_entry_ray_of_a_scalar():
    layer = Layer("identity", lambda p: ({"output": p["x"]}, dict), {"x": np.array(2.0)}, ("x",))
    evaluator = Evaluator(layer, layer.primals)
    evaluator.remember(evaluator.run().outputs)
    outputs, taken = EntryRay(evaluator, "x", ()).at(0.5)
    assert (outputs[0], taken) == (2.5, 0.5)
    assert evaluator.point["x"] == 2.0


def test_step_is_rounded_to_the_primals_dtype():
    evaluator = evaluator_of(np.float32)
    _, taken = EntryRay(evaluator, "x", (0, 0)).at(1e-6)
    assert taken == float(np.float32(0.1) + np.float32(1e-6)) - float(np.float32(0.1))
    assert taken != 1e-6


@pytest.mark.parametrize("step", [0.25, -1e-3])
def test_projection_ray_moves_along_a_direction_and_puts_it_back(step):
    evaluator = evaluator_of()
    before = {name: array.tobytes() for name, array in evaluator.point.items()}
    direction = {"x": np.array([[1.0, 0.0], [-2.0, 0.5]])}
    outputs, taken = ProjectionRay(evaluator, direction).at(step)
    assert taken == step
    assert np.array_equal(outputs[:4], (X + step * direction["x"]).ravel())
    assert np.array_equal(outputs[4:], Y)
    assert {name: array.tobytes() for name, array in evaluator.point.items()} == before


@pytest.mark.parametrize(
    "ray", [lambda e: EntryRay(e, "x", (0, 0)), lambda e: ProjectionRay(e, {"x": np.ones((2, 2)), "y": np.ones(2)})]
)
def test_point_is_put_back_when_f_raises(ray):
    raises = []

    def forward(primals):
        if raises:
            raise RuntimeError("mine")
        return {"output": primals["x"] * 1.0}

    evaluator = evaluator_of(forward=forward)
    raises.append(True)
    with pytest.raises(RuntimeError) as raised:
        ray(evaluator).at(1e-4)
    assert np.array_equal(evaluator.point["x"], X)
    assert np.array_equal(evaluator.point["y"], Y)
    assert "moved by" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    "ray", [lambda e: EntryRay(e, "x", (0, 0)), lambda e: ProjectionRay(e, {"x": np.ones((2, 2))})]
)
@pytest.mark.parametrize("step", [0.5, -64.0])
def test_what_f_raises_far_away_is_the_edge_of_its_domain(ray, step):
    """Nobody asked for a point so far away: an index beyond the end is no error of the user's."""

    def forward(primals):
        if not np.array_equal(primals["x"], X):
            raise IndexError("beyond the end")
        return {"output": primals["x"] * 1.0}

    evaluator = evaluator_of(forward=forward)
    outputs, _ = ray(evaluator).at(step)
    assert np.isnan(outputs).all()
    assert np.array_equal(evaluator.point["x"], X)


def test_slip_is_what_rounding_does_to_the_directional_difference():
    evaluator = evaluator_of()
    direction = {"x": np.array([[0.3, 0.7], [0.1, 0.9]])}
    gradient = {"x": np.array([[1.0, -1.0], [2.0, 5.0]])}
    step = 2.0**-40
    ray = ProjectionRay(evaluator, direction)
    plus, _ = ray.at(step)
    minus, _ = ray.at(-step)
    taken = float(np.sum(gradient["x"].ravel() * (plus - minus)[:4])) / (2 * step)
    ideal = float(np.sum(gradient["x"] * direction["x"]))
    assert abs(taken - ideal) > 1e-3 * abs(ideal)  # 1e6 has no digits left for such a step
    assert taken - ray.slip(step, gradient) == pytest.approx(ideal, rel=1e-9)


def test_signed_is_away_from_zero_and_of_both_signs():
    drawn = signed(np.random.default_rng(0), (10_000,))
    assert np.abs(drawn).min() >= 0.5
    assert np.abs(drawn).max() < 1.5
    assert 0.45 < np.mean(drawn > 0) < 0.55
    assert np.std(np.abs(drawn)) > 0.2


def test_signed_is_drawn_from_the_generator_alone():
    assert np.array_equal(signed(np.random.default_rng(3), (5,)), signed(np.random.default_rng(3), (5,)))
    assert signed(np.random.default_rng(0), ()).shape == ()


@pytest.mark.parametrize("eps", [2.0**-52, 2.0**-23, 2.0**-10])
@pytest.mark.parametrize("scale", [1.0, 3.7, 1e8])
def test_default_step_is_a_power_of_two_near_the_cube_root_of_eps(eps, scale):
    step = default_step(eps, scale)
    assert np.frexp(step)[0] == 0.5
    assert 0.7 < step / (eps ** (1 / 3) * scale) < 1.5

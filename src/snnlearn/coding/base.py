"""The bases of encoders and decoders, the two maps between a sample and spikes.

`x → encoder → spikes [T, *out] → network → output [T, C] → decoder → scores [C]`

A code is a value that is passed in. A new one is a final subclass of `AbstractEncoder` or `AbstractDecoder`;
`check_encoder` and `check_decoder` check it. An encoder states further facts itself: the values that it takes,
whether it draws random numbers, its inverse (`x → encoder → spikes [T, *n] → inverse → x̂ [*n]`). The inverse of a
deterministic code also gives all values with the same spikes, so its error is known exactly: `interval(spikes)`
contains both x and x̂.
"""

# No `from __future__ import annotations` here: Equinox does not recognise an `AbstractVar` written as a string.

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.checks import Owner, an_array, check_above_zero, check_number, check_part, named
from snnlearn.data.base import Task


class AbstractReconstruction(Component):
    """Turn spikes back into the values that they encode."""

    @abstractmethod
    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*x"]:
        """Estimate the values.

        Args:
            spikes: 0 or 1, or their number, at each of T steps.

        Raises:
            SnnlearnError: if the spikes have another shape than this code gives.
        """


class AbstractInverse(AbstractReconstruction):
    """The reconstruction of a deterministic code, whose error is bounded by an interval."""

    @abstractmethod
    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*x"], Float[Array, "*x"]]:
        """The smallest and the largest value with these spikes, up to rounding."""


class AbstractEncoder(Component):
    """Turn one sample into what the network receives at each of `num_steps` steps: spikes (0 or 1) or currents.

    A batch is a `vmap` with one key per sample. Deterministic encoders ignore the key.
    """

    _example: ClassVar = "Rate(num_steps=20)"

    num_steps: eqx.AbstractVar[int]
    dt: eqx.AbstractVar[float]
    takes_spikes: ClassVar[bool] = False
    """Whether a sample is spikes over time already, such as a recording."""
    of_changes: ClassVar[bool] = False
    """Whether it takes a signal, one step for each frame, and tells its changes by ON and OFF along the last axis."""

    @abstractmethod
    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """Encode one sample.

        Args:
            x: the sample, in [0, 1] unless the encoder says otherwise; values outside are clipped, and NaN gives NaN,
                never a spike and never silence.
            key: the randomness of this sample.

        Returns:
            Spikes or currents, float32, `[num_steps, *out_shape(x.shape)]`.

        Raises:
            SnnlearnError: if x is not an array of the kind that this encoder takes.
        """

    @abstractmethod
    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one step of the output for a sample of shape `in_shape`.

        Raises:
            SnnlearnError: if this encoder takes no samples of that shape.
        """

    @property
    def gives_spikes(self) -> bool:
        """Whether it gives only 0 and 1, so its output may be packed and costs only additions."""
        return False

    @property
    def held_steps(self) -> int:
        """For how many steps in a row each value is held: a constant current is multiplied only once."""
        return 1

    @property
    def range(self) -> tuple[float, float] | None:
        """The smallest and the largest value that it distinguishes; None for no limits."""
        return (0.0, 1.0)

    @property
    def draws(self) -> bool:
        """Whether its output depends on the key."""
        return True

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*out"] | None:
        """The probability of a spike, if it is independent and the same in every step; None otherwise.

        Raises:
            SnnlearnError: if x is not an array of the kind that this encoder takes.
        """
        return None

    def length(self, x: Shaped[Array, "*shape"]) -> Int[Array, ""] | None:
        """After how many of its steps a sample ends; None if the code takes all of it at once, so that it has no end.

        A code that says it is silent after the end, and what it gives before does not depend on what x holds later.

        Args:
            x: the sample; after its end NaN, see [`with_lengths`][snnlearn.data.with_lengths].
        """
        return None

    def of_frame(self) -> "AbstractEncoder | str":
        """The code of one frame of a signal without end, in which each is encoded by itself; or the reason why none.

        It takes a frame, of as many numbers as a step of this code has values, and gives the frame's steps: one where
        all steps are alike.
        """
        return (
            f"{type(self).__name__} is a code of a whole sample, which has an end; codes in which all steps are alike "
            "(Current, Rate, PoissonRate) run for ever, and so does any code frame by frame (Framewise)"
        )

    def inverse(self) -> AbstractReconstruction | str:
        """The matching reconstruction, with the encoder's own parameters; or the reason why there is none."""
        return f"{type(self).__name__} has no known inverse; define its `inverse`"

    def bits(self, in_shape: tuple[int, ...]) -> float | str | None:
        """Bits of a value in its spikes; or the reason why there is no such number.

        None leaves it to `bits_per_value`, which tries the values of `range`, and suits most encoders.

        Args:
            in_shape: the shape of a sample.
        """
        return None


class AbstractSpikeEncoder(AbstractEncoder):
    """An encoder that gives only 0 and 1 (and NaN for NaN)."""

    @property
    def gives_spikes(self) -> bool:
        """True."""
        return True


class AbstractOuterEncoder(AbstractEncoder):
    """An encoder that prepares the sample for another encoder."""

    encoder: eqx.AbstractVar[AbstractEncoder]

    @property
    def num_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Steps of the inner encoder."""
        return self.encoder.num_steps

    @property
    def dt(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Time step of the inner encoder, s."""
        return self.encoder.dt

    @property
    def gives_spikes(self) -> bool:
        """Whether the inner encoder does."""
        return self.encoder.gives_spikes

    @property
    def held_steps(self) -> int:
        """As long as the inner encoder does."""
        return self.encoder.held_steps

    @property
    def range(self) -> tuple[float, float] | None:
        """The inner encoder's."""
        return self.encoder.range

    @property
    def draws(self) -> bool:
        """Whether the inner encoder does."""
        return self.encoder.draws

    def length(self, x: Shaped[Array, "*shape"]) -> Int[Array, ""] | None:
        """The inner encoder's."""
        return self.encoder.length(x)

    def of_frame(self) -> AbstractEncoder | str:
        """The inner encoder's, with this one's preparation."""
        inner = self.encoder.of_frame()
        return inner if isinstance(inner, str) else eqx.tree_at(lambda outer: outer.encoder, self, inner)


class AbstractDecoder(Component):
    """Turn a network's output over time into one score per class, whose argmax decides; or as its task says."""

    reads_spikes: ClassVar[bool] = False
    """Whether the output must be spikes, not a membrane."""
    task: ClassVar[Task] = "classification"
    """What its scores are for: the largest decides for its class; or they are predictions of real values; or each label
    whose score is above 0 is decided to hold."""

    @abstractmethod
    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " scores"]:
        """Score the classes; larger is more likely, and ties are broken at random.

        Args:
            output: membranes or spikes of the C output units at each of T steps.

        Raises:
            SnnlearnError: if the output has another shape than this decoder reads.
        """

    def num_units(self, num_scores: int) -> int:
        """How many output units so many scores are of: as many, unless a unit has several.

        Args:
            num_scores: of classes, values or labels.

        Raises:
            SnnlearnError: if no number of units has so many.
        """
        return num_scores

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " scores"]:
        """The scores of a sample that ends before the last step; what the output is after the end has no influence.

        Unless a decoder defines it, it scores only samples that do not end early, and gives NaN for the others.

        Args:
            output: as for a whole sample.
            length: the number of steps before the end, from 1 to T.
        """
        return jnp.where(length == len(output), self(output), jnp.nan)

    def deciding_by(self, decoder: "AbstractDecoder") -> "AbstractDecoder":
        """A decoder whose task and units are these, from the scores of another; one around a third passes this on.

        Args:
            decoder: that gives the scores.
        """
        return decoder


def inverse_of(encoder: AbstractEncoder) -> AbstractReconstruction:
    """The reconstruction that matches an encoder, with the encoder's own parameters: its `inverse`.

    A population with a rate code is decoded by maximum likelihood, with another code by least squares.

    Args:
        encoder: the encoder.

    Raises:
        SnnlearnError: if none is known.

    >>> from snnlearn.coding import LinearLatency
    >>> code = LinearLatency(num_steps=101)
    >>> inverse_of(code)(code(jnp.array([0.25, 0.5]))).tolist()
    [0.25, 0.5]
    """
    check_part("inverse_of", AbstractEncoder, "an encoder, such as Rate(100)", encoder=encoder)
    inverse = encoder.inverse()
    if isinstance(inverse, str):
        raise SnnlearnError(inverse)
    return inverse


def unit_interval(x: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The sample as float32, clipped to [0, 1].

    Raises:
        SnnlearnError: if x is not an array of numbers, or holds integers: grey levels 0…255 would silently become 1.

    >>> unit_interval(jnp.array([-1.0, 0.3, 7.0])).tolist()
    [0.0, 0.30000001192092896, 1.0]
    """
    x = an_array("encoder", x)
    if jnp.issubdtype(x.dtype, jnp.integer):
        raise SnnlearnError(
            f"x has dtype {x.dtype}, expected floats in [0, 1]; wrap the encoder, for example Rescaled(encoder, 0, 255)"
        )
    return jnp.clip(x.astype(jnp.float32), 0.0, 1.0)


def keep_nan(spikes: Shaped[Array, "T *shape"], x: Float[Array, "*shape"]) -> Array:
    """Spikes as float32, but NaN in every step if the value is NaN, which has no code.

    >>> keep_nan(jnp.array([[True, True]]), jnp.array([0.5, jnp.nan])).tolist()
    [[1.0, nan]]
    """
    return jnp.where(jnp.isnan(x)[None], jnp.nan, spikes.astype(jnp.float32))


def up_to_rounding(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The largest number that a value in [0, 1] may stand for after a few roundings: `x (1 + 2ε)`, at most 1.

    The float nearest to 0.53 is below it, and so is 100 times that, but `⌊100 x⌋` should be 53.

    >>> float(jnp.floor(100 * up_to_rounding(jnp.array(0.53)))), float(jnp.floor(100 * jnp.array(0.53)))
    (53.0, 52.0)
    """
    return jnp.minimum(x * (1 + 2 * float(jnp.finfo(x.dtype).eps)), 1.0)


def check_whole(owner: Owner, *, at_least: int, **counts: object) -> None:
    """Refuse counts that are not whole numbers, or too small.

    Raises:
        SnnlearnError: naming the owner, the field and its value.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < at_least:
            raise SnnlearnError(f"{named(owner)}: {name} is {shown(count)}; give a whole number, at least {at_least}")


def check_window(owner: object, num_steps: object, dt: float) -> None:
    """Refuse a window of fewer than one step, or a time step that is not above 0.

    Raises:
        SnnlearnError: naming the owner, the field and its value.
    """
    check_whole(owner, at_least=1, num_steps=num_steps)
    check_above_zero(owner, dt=dt)


def check_range(owner: object, low: float, high: float) -> None:
    """Refuse a range of values that is empty or not finite.

    Raises:
        SnnlearnError: naming the owner and both ends.
    """
    check_number(owner, "a finite number", lambda x: True, low=low, high=high)
    if not high > low:
        raise SnnlearnError(f"{named(owner)}: the range is [{low}, {high}]; give finite low < high")

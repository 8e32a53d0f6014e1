"""What every ordering does: features in, ordered code out, and back to the states that heads read."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from prior_lab.errors import InputError
from prior_lab.levels import Levels
from prior_lab.orderings.code import Code, Draws, TrainingCode
from prior_lab.processes import own_rows, process_count
from prior_lab.tokens import DiscreteTokens, Tokens

Transmit = Callable[[Tensor, slice], Tensor]


class Ordering(nn.Module, ABC):
    """A bottleneck that turns the features of N tokens into an ordered code.

    Parameters
    ----------
    levels : how the tokens are laid out.
    channels : channels of a token.
    """

    def __init__(self, levels: Levels, channels: int) -> None:
        super().__init__()
        self.levels, self.channels = levels, channels

    @property
    @abstractmethod
    def readout_slices(self) -> tuple[slice, ...]:
        """The runs of tokens whose features come from one readout head of the encoder."""

    @property
    @abstractmethod
    def state_centres(self) -> list[Float[Tensor, "_ 2"]]:
        """For every state that a head reads, where its tokens lie in the unit square."""

    @abstractmethod
    def encode(
        self,
        features: Float[Tensor, "batch token channel"],
        generator: Generator | None = None,
        transmit: Transmit | None = None,
    ) -> Code:
        """The full code: most likely token values, or a draw from the posterior with a generator.

        Parameters
        ----------
        transmit : what becomes of the values of a run of tokens on their way to the receiver, if anything does.
        """

    @abstractmethod
    def states(self, code: Code) -> list[Float[Tensor, "batch _ channel"]]:
        """What the heads read of this prefix; the last state is that of the prefix itself."""

    @abstractmethod
    def level_outputs(self, code: Code) -> Float[Tensor, "batch token channel"]:
        """What a probe reads of the prefix, token by token: level outputs where there are levels, else the values."""

    @abstractmethod
    def budget_states(self, code: Code) -> list[Float[Tensor, "stacked _ channel"]]:
        """What the heads read at every whole-level budget within the code, stacked so that each head runs once.

        Unstacked and in order, the states are those of the budgets 1, 3, 7, ...
        """

    @abstractmethod
    def budget_summaries(self, code: Code) -> list[Float[Tensor, "stacked channel"]]:
        """The mean token at every whole-level budget within the code, stacked like `budget_states`."""

    @abstractmethod
    def draw(self, batch: int, generator: Generator) -> Draws:
        """What chance decides about the code of this process's part of a batch, for `train_code`.

        Parameters
        ----------
        batch : images of this process.
        generator : in the same state in every process that trains with it.
        """

    @abstractmethod
    def train_code(self, features: Float[Tensor, "batch token channel"], draws: Draws) -> TrainingCode:
        """The code under the ordering's pressure, with what the loss needs."""

    @property
    @abstractmethod
    def token_kind(self) -> type[Tokens]:
        """The class of the token bottlenecks."""

    @property
    @abstractmethod
    def prefixes(self) -> tuple[int, ...]:
        """The lengths that a prefix of a code may have."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[int, ...]:
        """How many states each token can be in.

        Raises
        ------
        InputError : if the tokens are real numbers.
        """

    @abstractmethod
    def received(self, index: Int64[Tensor, "batch token"]) -> Code:
        """The code of which a receiver has the indices of the first tokens' states.

        Raises
        ------
        InputError : if the tokens are real numbers.
        """

    @staticmethod
    def _discrete(tokens: object) -> DiscreteTokens:
        if not isinstance(tokens, DiscreteTokens):
            raise InputError("Gaussian tokens are real numbers; they are in no countable state.")
        return tokens

    def _noise(self, batch: int, generator: Generator | None) -> Float[Tensor, "batch token channel"] | None:
        """Noise for all tokens; none without a generator."""
        shape = (batch, self.levels.tokens, self.channels)
        return None if generator is None else self.token_kind.noise(shape, generator)

    def _own_noise(self, batch: int, generator: Generator) -> Float[Tensor, "batch token channel"] | None:
        """Noise for the part of a joint batch that this process has."""
        noise = self._noise(batch * process_count(), generator)
        return None if noise is None else own_rows(noise)

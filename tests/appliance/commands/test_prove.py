"""`prove` is the folder of proofs; each has the options that all share."""

from click.testing import CliRunner
from topmast.commands.prove import COMMAND, _command
from topmast.measure import measure
from topmast.proof import Proof


def test_a_proof_becomes_a_command_with_the_shared_options() -> None:
    proof = Proof("delivery", "Kill it.", lambda trial: [measure("delivery.lost", trial.seed, "events", "== 0")])

    options = {option for parameter in _command(proof).params for option in parameter.opts}

    assert options >= {"--full", "--seed", "--check", "--json"}


def test_an_unknown_proof_is_a_usage_error() -> None:
    answer = CliRunner().invoke(COMMAND, ["nothing"])

    assert answer.exit_code == 2
    assert "nothing" in answer.output

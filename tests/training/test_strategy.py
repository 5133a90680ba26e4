from dataclasses import replace

from tlcli.contracts.finetune import Phase
from tlcli.training import strategy


def test_phases_without_length_are_left_out_and_fixed_layers_are_never_trained(small_plan):
    pieces, lesson = small_plan.pieces, small_plan.lesson

    class Finetune:
        @staticmethod
        def phases(blocks, epochs):
            rates = dict.fromkeys(blocks[-1].layers, 1.0)
            return [Phase("first", epochs, rates), Phase("none", 0, rates)]

    pieces = replace(pieces, job=replace(pieces.job, finetune=Finetune()))
    (found,) = strategy.phases(pieces, lesson)
    assert found.name == "first"
    name = next(iter(found.rates))
    (other,) = strategy.phases(pieces, replace(lesson, fixed=(name,)))
    assert set(found.rates) - set(other.rates) == {name}
